import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'
import type { WaitingScope } from './waiting-limits.ts'

/** What to count, and how far: `max` bounds the cost. */
export type WaitingQuestion = { readonly scope: WaitingScope; readonly max: number }

const STATEMENT = {
  name: 'count_waiting',
  // '0' comes right after '/': the range holds the names of the lanes that begin so
  text: `SELECT a.ord, (SELECT count(*) FROM (
      SELECT FROM runs r WHERE r.status = 'queued' AND r.job_name >= p.name || '/' AND r.job_name < p.name || '0' LIMIT a.most) q)::integer AS waiting
    FROM unnest($1::integer[], $2::text[], $3::text[], $4::integer[]) AS a (ord, workspace_id, agent_id, most)
    JOIN workspaces w ON w.id = a.workspace_id LEFT JOIN agents g ON g.id = a.agent_id
    CROSS JOIN LATERAL (SELECT (w.key || coalesce('/' || g.key, '')) COLLATE "C" AS name) p`,
  row: z.object({ ord: z.int(), waiting: z.int() }),
}

/** The queued runs of each scope, in order: scheduled and session-held ones too, none counted past its `max`. */
export async function countWaiting(on: Queryable, questions: readonly WaitingQuestion[]): Promise<readonly number[]> {
  const asked = questions.map(({ scope, max }, ord) => ({ ord, max, ...scope }))
  const rows = await execute(on, STATEMENT, [
    asked.map((one) => one.ord),
    asked.map((one) => one.workspaceId),
    asked.map((one) => (one.kind === 'agent' ? one.agentId : null)),
    asked.map((one) => one.max),
  ])
  const counted = new Array<number>(questions.length).fill(0)
  for (const { ord, waiting } of rows) counted[ord] = waiting
  return counted
}
