import { timingSafeEqual } from 'node:crypto'
import type { Access } from '@muster/contracts'
import { AppError } from '@muster/core'
import { type Database, findKeyOwner, findWorkspaceCaller, type WorkspaceCaller } from '@muster/store'
import { hashApiKey, isApiKeySecret } from './api-key-secret.ts'
import { ExpiringCache } from './expiring-cache.ts'

/** A revoked key is refused everywhere within 5 s: what was found is believed for 3. */
const CACHE = { foundMs: 3000, absentMs: 1000, entriesMax: 20_000 }
const DEFAULT_WORKSPACE = 'default'
const BEARER = /^Bearer +([^\s]+) *$/i
const WORKSPACE_FORM = /^[a-z0-9][a-z0-9._-]{0,63}$/

export type Credentials = { readonly authorization: string | null; readonly workspace: string | null }

/** Says in whose name a request acts. */
export class Authenticator {
  readonly #database: Database
  readonly #adminDigest: Buffer
  readonly #keys = new ExpiringCache<WorkspaceCaller>(CACHE)
  /** One that is made is there at once: its absence is not believed. */
  readonly #workspaces = new ExpiringCache<WorkspaceCaller>({ ...CACHE, absentMs: 0 })

  constructor(database: Database, adminToken: string) {
    this.#database = database
    this.#adminDigest = Buffer.from(hashApiKey(adminToken))
  }

  /** The workspace of a request, null where the route needs none. Throws 401, 403, or `unavailable` when a key cannot be looked up. */
  async authenticate(access: Access, { authorization, workspace }: Credentials): Promise<WorkspaceCaller | null> {
    if (access === 'public') return null
    if (authorization === null || authorization === '')
      throw new AppError('missing_api_key', 'send the header Authorization: Bearer mst_…')
    const token = BEARER.exec(authorization)?.[1]
    if (token === undefined) throw new AppError('invalid_api_key', 'the header Authorization must read: Bearer mst_…')
    const digest = hashApiKey(token)
    // how much of the digest is right would tell a guesser which tokens to try
    if (timingSafeEqual(Buffer.from(digest), this.#adminDigest))
      return access === 'admin' ? null : this.#workspace(workspace ?? DEFAULT_WORKSPACE)
    const caller = isApiKeySecret(token) ? await this.#keyOwner(digest) : null
    if (caller === null) throw new AppError('invalid_api_key', 'this API key is unknown or revoked')
    if (access === 'admin') throw new AppError('forbidden', 'this needs the admin token')
    return caller
  }

  /** Whether a key that was good once is refused by now; false while that cannot be looked up. */
  async isRefused(authorization: string): Promise<boolean> {
    try {
      await this.authenticate('workspace', { authorization, workspace: null })
      return false
    } catch (error) {
      return error instanceof AppError && error.code === 'invalid_api_key'
    }
  }

  #keyOwner(digest: string): Promise<WorkspaceCaller | null> {
    return this.#keys.get(digest, () => findKeyOwner(this.#database, Buffer.from(digest, 'hex')))
  }

  async #workspace(idOrKey: string): Promise<WorkspaceCaller> {
    const known = WORKSPACE_FORM.test(idOrKey)
      ? await this.#workspaces.get(idOrKey, () => findWorkspaceCaller(this.#database, idOrKey))
      : null
    if (known !== null) return known
    const faults = [{ pointer: 'header/muster-workspace', detail: 'no such workspace' }]
    throw new AppError('workspace_not_found', 'the header Muster-Workspace names no workspace', { faults })
  }
}
