import type { AgentConfig } from '@muster/contracts'
import { AppError } from '@muster/core'
import { type Database, findAgent } from '@muster/store'

export type ResolvedAgent = {
  readonly id: string
  readonly key: string
  readonly version: number
  readonly active: boolean
  readonly config: AgentConfig
}

const KEPT_MAX = 10_000

/**
 * Remembers agents between commands. It may be behind: the accepting statement compares the version, and whoever is told that it is stale
 * forgets it and resolves again.
 */
export class AgentResolver {
  readonly #database: Database
  readonly #kept = new Map<string, Promise<ResolvedAgent | null>>()

  constructor(database: Database) {
    this.#database = database
  }

  /** Throws `agent_not_found`. */
  async resolve(workspaceId: string, idOrKey: string): Promise<ResolvedAgent> {
    const place = `${workspaceId}/${idOrKey}`
    let pending = this.#kept.get(place)
    if (pending === undefined) {
      pending = findAgent(this.#database, workspaceId, idOrKey)
      if (this.#kept.size >= KEPT_MAX) this.#kept.clear()
      this.#kept.set(place, pending)
    }
    const agent = await pending.catch((error: unknown) => {
      this.#kept.delete(place)
      throw error
    })
    if (agent === null) {
      this.#kept.delete(place)
      throw new AppError('agent_not_found', `no agent ${idOrKey} in this workspace`)
    }
    return agent
  }

  forget(workspaceId: string, idOrKey: string): void {
    this.#kept.delete(`${workspaceId}/${idOrKey}`)
  }
}
