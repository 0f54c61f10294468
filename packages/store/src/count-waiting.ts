import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'
import type { WaitingScope } from './waiting-limits.ts'

/** What to count, and how far: `max` bounds the cost. */
export type WaitingQuestion = { readonly scope: WaitingScope; readonly max: number }

const STATEMENT = {
  name: 'count_waiting',
  text: `SELECT w.ord, (SELECT count(*) FROM (
      SELECT FROM runs r WHERE r.workspace_id = w.workspace_id AND r.status = 'queued' LIMIT w.most) q)::integer AS waiting
    FROM unnest($1::integer[], $2::text[], $3::integer[]) AS w (ord, workspace_id, most)
    UNION ALL
    SELECT a.ord, (SELECT count(*) FROM (
      SELECT FROM runs r WHERE r.workspace_id = a.workspace_id AND r.agent_id = a.agent_id AND r.status = 'queued' LIMIT a.most) q)::integer
    FROM unnest($4::integer[], $5::text[], $6::text[], $7::integer[]) AS a (ord, workspace_id, agent_id, most)`,
  row: z.object({ ord: z.int(), waiting: z.int() }),
}

/** The queued runs of each scope, in order: scheduled and session-held ones too, none counted past its `max`. */
export async function countWaiting(on: Queryable, questions: readonly WaitingQuestion[]): Promise<readonly number[]> {
  const asked = questions.map(({ scope, max }, ord) => ({ ord, max, ...scope }))
  const workspaces = asked.filter((one) => one.kind === 'workspace')
  const agents = asked.filter((one) => one.kind === 'agent')
  const rows = await execute(on, STATEMENT, [
    workspaces.map((one) => one.ord),
    workspaces.map((one) => one.workspaceId),
    workspaces.map((one) => one.max),
    agents.map((one) => one.ord),
    agents.map((one) => one.workspaceId),
    agents.map((one) => one.agentId),
    agents.map((one) => one.max),
  ])
  const counted = new Array<number>(questions.length).fill(0)
  for (const { ord, waiting } of rows) counted[ord] = waiting
  return counted
}
