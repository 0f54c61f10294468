import { type AgentConfig, agentConfigSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const KEPT_MAX = 1000
const STATEMENT = {
  name: 'agent_versions',
  text: `SELECT v.agent_id, v.version, v.config FROM unnest($1::text[], $2::integer[]) AS n (agent_id, version)
    JOIN agent_versions v ON v.agent_id = n.agent_id AND v.version = n.version`,
  row: z.object({ agent_id: z.string(), version: z.int(), config: z.unknown() }),
}

type Version = { readonly agent_id: string; readonly agent_version: number }
export type ReadConfig = z.ZodSafeParseResult<AgentConfig>

/** The configurations of agents' versions. A version never changes, so each is read once and kept. */
export class AgentVersions {
  readonly #on: Queryable
  readonly #kept = new Map<string, ReadConfig>()

  constructor(on: Queryable) {
    this.#on = on
  }

  /** Reads those that are not kept; afterwards `of` knows them all. */
  async read(versions: readonly Version[]): Promise<void> {
    // before it is looked up what is missing, so that nothing goes that is asked for
    if (this.#kept.size + versions.length > KEPT_MAX) this.#kept.clear()
    const missing = new Map(versions.map((one) => [keyOf(one), one] as const).filter(([key]) => !this.#kept.has(key)))
    if (missing.size === 0) return
    const asked = [...missing.values()]
    const rows = await execute(this.#on, STATEMENT, [
      asked.map((one) => one.agent_id),
      asked.map((one) => one.agent_version),
    ])
    for (const { agent_id, version, config } of rows)
      this.#kept.set(keyOf({ agent_id, agent_version: version }), agentConfigSchema.safeParse(config))
  }

  of(version: Version): ReadConfig {
    return this.#kept.get(keyOf(version)) ?? agentConfigSchema.safeParse(undefined)
  }
}

const keyOf = ({ agent_id, agent_version }: Version): string => `${agent_id}/${agent_version}`
