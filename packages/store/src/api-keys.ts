import { type ApiKey, apiKeySchema } from '@muster/contracts'
import { newId } from '@muster/core'
import { z } from 'zod'
import type { Database } from './database.ts'
import { type Page, type PageRequest, pageFrom } from './page.ts'
import { execute, executeOne, type Queryable } from './statement.ts'
import { timestamp } from './timestamp.ts'
import type { WorkspaceCaller } from './workspaces.ts'

const ROW = z
  .object({
    id: z.string(),
    workspace_id: z.string(),
    name: z.string().nullable(),
    created_at: timestamp,
    revoked_at: timestamp.nullable(),
  })
  .pipe(apiKeySchema)

const INSERT = {
  name: 'insert_api_key',
  text: 'INSERT INTO api_keys (id, workspace_id, name, hash) VALUES ($1, $2, $3, $4) RETURNING id, workspace_id, name, created_at, revoked_at',
  row: ROW,
}
const LIST = {
  name: 'list_api_keys',
  text: `SELECT id, workspace_id, name, created_at, revoked_at FROM api_keys
    WHERE workspace_id = $1 AND ($2::text IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
  row: ROW,
}
const REVOKE = {
  name: 'revoke_api_key',
  text: `UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE workspace_id = $1 AND id = $2
    RETURNING id, workspace_id, name, created_at, revoked_at`,
  row: ROW,
}
const LOOK_UP = {
  name: 'look_up_api_key',
  text: `SELECT w.id, w.key FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id WHERE k.hash = $1 AND k.revoked_at IS NULL`,
  row: z.object({ id: z.string(), key: z.string() }),
}

/** Keeps the SHA-256 of a key; the key itself is never stored. */
export async function createApiKey(
  database: Database,
  key: { readonly workspaceId: string; readonly name: string | null; readonly hash: Buffer },
): Promise<ApiKey> {
  return executeOne(database.pool, INSERT, [newId('apiKey'), key.workspaceId, key.name, key.hash])
}

/** The keys of a workspace, revoked ones included. */
export async function listApiKeys(on: Queryable, workspaceId: string, page: PageRequest): Promise<Page<ApiKey>> {
  const rows = await execute(on, LIST, [workspaceId, page.before, page.limit + 1])
  return pageFrom(
    rows,
    page,
    (row) => row.id,
    (row) => row,
  )
}

/** Revokes a key for ever; null when the workspace has no such key. Revoking again changes nothing. */
export async function revokeApiKey(database: Database, workspaceId: string, id: string): Promise<ApiKey | null> {
  const [row] = await execute(database.pool, REVOKE, [workspaceId, id])
  return row ?? null
}

/** The workspace that a key opens, by the key's SHA-256; null when it is unknown or revoked. */
export async function findKeyOwner(database: Database, hash: Buffer): Promise<WorkspaceCaller | null> {
  const [row] = await execute(database.pool, LOOK_UP, [hash])
  return row ?? null
}
