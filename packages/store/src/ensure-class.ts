import type { ClassPolicy, Pool } from '@muster/contracts'
import { z } from 'zod'
import type { Database } from './database.ts'
import { execute } from './statement.ts'

const STATEMENT = {
  name: 'ensure_class',
  text: `INSERT INTO classes (key, workspace_id, agent_id, agent_key, lane, pool, policy) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (key) DO NOTHING`,
  row: z.object({}),
}

export type NewClass = {
  readonly key: string
  readonly workspaceId: string
  readonly agentId: string
  readonly agentKey: string
  readonly lane: string
  readonly pool: Pool
  readonly policy: ClassPolicy
}

/** Makes an execution class known, with no limit; one that is there keeps its settings. */
export async function ensureClass(database: Database, made: NewClass): Promise<void> {
  const { key, workspaceId, agentId, agentKey, lane, pool, policy } = made
  await execute(database.pool, STATEMENT, [key, workspaceId, agentId, agentKey, lane, pool, JSON.stringify(policy)])
}
