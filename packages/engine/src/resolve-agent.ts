import type { AgentConfig } from '@muster/contracts'
import { AppError, Batcher } from '@muster/core'
import { type Database, findAgents } from '@muster/store'

export type ResolvedAgent = {
  readonly id: string
  readonly key: string
  readonly version: number
  readonly active: boolean
  readonly config: AgentConfig
}

const KEPT_MAX = 10_000
/** A refusal that is decided by what is remembered looks anew at what is older. */
const DOUBTED_MS = 1000
/** Agents that are read together. */
const READ_MAX = 500

type AgentName = { readonly workspaceId: string; readonly idOrKey: string }

/**
 * Remembers agents between commands. It may be behind: the accepting statement compares the version, and whoever is told that it is stale
 * forgets it and resolves again.
 */
export class AgentResolver {
  readonly #reader: Batcher<AgentName, ResolvedAgent | null>
  readonly #kept = new Map<string, { readonly agent: Promise<ResolvedAgent>; readonly readAt: number }>()
  readonly #keys = new Map<string, string>()

  constructor(database: Database) {
    this.#reader = new Batcher((names) => readAgents(database, names), { max: READ_MAX, lanes: 2 })
  }

  /** Throws `agent_not_found`. */
  resolve(workspaceId: string, idOrKey: string): Promise<ResolvedAgent> {
    const place = `${workspaceId}/${idOrKey}`
    const kept = this.#kept.get(place)
    if (kept !== undefined) return kept.agent
    const reading = this.#read({ workspaceId, idOrKey }).catch((error: unknown) => {
      this.#kept.delete(place)
      throw error
    })
    if (this.#kept.size >= KEPT_MAX) {
      this.#kept.clear()
      this.#keys.clear()
    }
    this.#kept.set(place, { agent: reading, readAt: performance.now() })
    return reading
  }

  /** The key of an agent that was resolved; null for a name under which none was found. */
  keyOf(workspaceId: string, idOrKey: string): string | null {
    return this.#keys.get(`${workspaceId}/${idOrKey}`) ?? null
  }

  async #read(name: AgentName): Promise<ResolvedAgent> {
    const agent = await this.#reader.add(name)
    if (agent === null) throw new AppError('agent_not_found', `no agent ${name.idOrKey} in this workspace`)
    this.#keys.set(`${name.workspaceId}/${name.idOrKey}`, agent.key)
    return agent
  }

  /** Whether an agent is to be resolved anew, as it was read a while ago. For refusals before any statement compares the version. */
  doubt(workspaceId: string, idOrKey: string): boolean {
    const kept = this.#kept.get(`${workspaceId}/${idOrKey}`)
    if (kept !== undefined && performance.now() - kept.readAt < DOUBTED_MS) return false
    this.forget(workspaceId, idOrKey)
    return true
  }

  forget(workspaceId: string, idOrKey: string): void {
    const place = `${workspaceId}/${idOrKey}`
    this.#kept.delete(place)
    this.#keys.delete(place)
  }
}

/** By one statement for each workspace. */
async function readAgents(database: Database, names: readonly AgentName[]): Promise<readonly (ResolvedAgent | null)[]> {
  const byWorkspace = Map.groupBy(names, (name) => name.workspaceId)
  const found = await Promise.all(
    Array.from(byWorkspace, async ([workspaceId, asked]) => {
      const agents = await findAgents(
        database,
        workspaceId,
        asked.map((name) => name.idOrKey),
      )
      return [workspaceId, agents] as const
    }),
  )
  const workspaces = new Map(found)
  return names.map(({ workspaceId, idOrKey }) => workspaces.get(workspaceId)?.get(idOrKey) ?? null)
}
