import { z } from 'zod'
import { executeOne, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'holds_run',
  text: `SELECT EXISTS (SELECT FROM runs r JOIN nodes n ON n.id = r.node_id
    WHERE r.id = $1 AND r.generation = $2 AND r.status = 'running' AND n.status IN ('active', 'draining')) AS holds`,
  row: z.object({ holds: z.boolean() }),
}

/** Whether this generation still holds the run on a living node. */
export async function holdsRun(on: Queryable, runId: string, generation: number): Promise<boolean> {
  return (await executeOne(on, STATEMENT, [runId, generation])).holds
}
