import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

/** Runs that are looked at from each side to find the lanes with work. */
const SEEN_MAX = 2000
const CLASSES_MAX = 100_000

const BUSY = {
  name: 'board_busy_lanes',
  text: `SELECT r.job_name FROM (
      (SELECT job_name, id, false AS unfinished FROM runs ORDER BY id DESC LIMIT ${SEEN_MAX})
      UNION ALL (SELECT job_name, id, true FROM runs WHERE status IN ('running', 'waiting') LIMIT ${SEEN_MAX})
      UNION ALL (SELECT job_name, id, true FROM runs WHERE status = 'queued' ORDER BY offerable_at, id LIMIT ${SEEN_MAX})
    ) r GROUP BY r.job_name ORDER BY bool_or(r.unfinished) DESC, max(r.id) DESC LIMIT $1`,
  row: z.object({ job_name: z.string() }),
}
const FIND = {
  name: 'board_find_lanes',
  text: `SELECT DISTINCT n.job_name FROM (
      SELECT w.key || '/' || c.agent_key || '/' || c.lane AS job_name FROM classes c JOIN workspaces w ON w.id = c.workspace_id LIMIT ${CLASSES_MAX}
    ) n WHERE strpos(n.job_name, $1) > 0 ORDER BY n.job_name LIMIT $2`,
  row: z.object({ job_name: z.string() }),
}
const FACTS = {
  name: 'board_lane_facts',
  text: `SELECT n.job_name, w.id AS workspace_id, w.key AS workspace_key, a.id AS agent_id, split_part(n.job_name, '/', 2) AS agent_key,
      split_part(n.job_name, '/', 3) AS lane,
      coalesce((a.limits -> 'lanes' -> split_part(n.job_name, '/', 3) ->> 'paused')::boolean, false) AS paused
    FROM unnest($1::text[]) WITH ORDINALITY AS n (job_name, place)
    JOIN workspaces w ON w.key = split_part(n.job_name, '/', 1)
    LEFT JOIN agents a ON a.workspace_id = w.id AND a.key = split_part(n.job_name, '/', 2) AND a.deleted_at IS NULL
    ORDER BY n.place`,
  row: z
    .object({
      job_name: z.string(),
      workspace_id: z.string(),
      workspace_key: z.string(),
      agent_id: z.string().nullable(),
      agent_key: z.string(),
      lane: z.string(),
      paused: z.boolean(),
    })
    .transform((row) => ({
      name: row.job_name,
      workspaceId: row.workspace_id,
      workspaceKey: row.workspace_key,
      agentId: row.agent_id,
      agentKey: row.agent_key,
      lane: row.lane,
      paused: row.paused,
    })),
}
const counted = (alias: string, where: string): string =>
  `CROSS JOIN LATERAL (SELECT count(*)::integer AS ${alias} FROM (
     SELECT FROM runs r WHERE r.job_name = n.job_name AND ${where} LIMIT n.most) x) ${alias}`
const COUNTS = {
  name: 'board_lane_counts',
  text: `SELECT n.job_name, waiting, delayed, active, completed, failed
    FROM unnest($1::text[], $2::integer[]) AS n (job_name, most)
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE NOT x.scheduled)::integer AS waiting, count(*) FILTER (WHERE x.scheduled)::integer AS delayed
      FROM (SELECT r.scheduled FROM runs r WHERE r.job_name = n.job_name AND r.status = 'queued' LIMIT n.most) x) queued
    ${counted('active', `r.status IN ('running', 'waiting')`)}
    ${counted('completed', `r.status IN ('succeeded', 'cancelled')`)}
    ${counted('failed', `r.status IN ('failed', 'timed_out') AND EXISTS (SELECT FROM tasks t WHERE t.id = r.task_id AND t.run_id = r.id AND t.status = 'dead_letter')`)}`,
  row: z.object({
    job_name: z.string(),
    waiting: z.int(),
    delayed: z.int(),
    active: z.int(),
    completed: z.int(),
    failed: z.int(),
  }),
}

/** A lane that has runs: `name` is `<workspace>/<agent>/<lane>`. Without an agent id its agent was deleted. */
export type BoardLane = z.infer<typeof FACTS.row>
export type LaneCounts = Pick<z.infer<typeof COUNTS.row>, 'waiting' | 'delayed' | 'active' | 'completed' | 'failed'>

/** Lanes with unfinished runs first, then those that were used last; O(1) in the number of runs. */
export const busyLanes = async (on: Queryable, limit: number): Promise<readonly string[]> =>
  (await execute(on, BUSY, [limit])).map((row) => row.job_name)

/** Lanes whose `<workspace>/<agent>/<lane>` contains the text. */
export const findLanes = async (on: Queryable, text: string, limit: number): Promise<readonly string[]> =>
  (await execute(on, FIND, [text, limit])).map((row) => row.job_name)

/** What is known of each of these lanes, in their order; a name whose workspace does not exist is absent. */
export const boardLanes = (on: Queryable, names: readonly string[]): Promise<readonly BoardLane[]> =>
  names.length === 0 ? Promise.resolve([]) : execute(on, FACTS, [names])

/** The runs of each lane by state, each counted up to its bound. `failed` are dead letters: requeued ones no longer count. */
export async function laneCounts(
  on: Queryable,
  bounds: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, LaneCounts>> {
  if (bounds.size === 0) return new Map()
  const rows = await execute(on, COUNTS, [[...bounds.keys()], [...bounds.values()]])
  return new Map(rows.map(({ job_name, ...counts }) => [job_name, counts]))
}
