import type { ClassPolicy, Pool } from '@muster/contracts'
import { z } from 'zod'
import type { Database } from './database.ts'
import { execute } from './statement.ts'

const STATEMENT = {
  name: 'ensure_classes',
  // in one order, so that two statements cannot wait for each other
  text: `INSERT INTO classes (key, workspace_id, agent_id, agent_key, lane, pool, policy)
    SELECT c.key, c.workspace_id, c.agent_id, c.agent_key, c.lane, c.pool, c.policy FROM jsonb_to_recordset($1) AS c (
      key text, workspace_id text, agent_id text, agent_key text, lane text, pool text, policy jsonb) ORDER BY c.key COLLATE "C"
    ON CONFLICT (key) DO UPDATE SET seen_at = now() WHERE classes.seen_at < now() - interval '1 hour'`,
  row: z.object({}),
}

export type NewClass = {
  readonly key: string
  readonly workspace_id: string
  readonly agent_id: string
  readonly agent_key: string
  readonly lane: string
  readonly pool: Pool
  readonly policy: ClassPolicy
}

/** Makes execution classes known, with no limit; those that are there keep their settings, and are known to be in use. */
export async function ensureClasses(database: Database, made: readonly NewClass[]): Promise<void> {
  await execute(database.pool, STATEMENT, [JSON.stringify(made)])
}
