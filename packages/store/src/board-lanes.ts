import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

/** Runs that are looked at from each side to find the lanes with work. */
const SEEN_MAX = 2000
const CLASSES_MAX = 100_000

/* The names with something queued are walked one by one, so that none is missed behind a flood of another while there are few. */
const BUSY = {
  name: 'board_busy_lanes',
  text: `WITH RECURSIVE queued (job_name) AS (
      (SELECT job_name FROM runs WHERE status = 'queued' ORDER BY job_name LIMIT 1)
      UNION ALL SELECT (SELECT r.job_name FROM runs r WHERE r.status = 'queued' AND r.job_name > q.job_name ORDER BY r.job_name LIMIT 1)
      FROM queued q WHERE q.job_name IS NOT NULL
    ) SELECT r.job_name FROM (
      (SELECT job_name, id, false AS unfinished FROM runs ORDER BY id DESC LIMIT ${SEEN_MAX})
      UNION ALL (SELECT job_name, id, true FROM runs WHERE status IN ('running', 'waiting') LIMIT ${SEEN_MAX})
      UNION ALL (SELECT job_name, id, true FROM runs WHERE status = 'queued' ORDER BY offerable_at, id LIMIT ${SEEN_MAX})
      UNION ALL (SELECT job_name, '', true FROM queued WHERE job_name IS NOT NULL LIMIT $1)
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
/* In the order of the index by name, as the pages are: whatever a lane holds, nothing else is read. */
const newest = (status: string): string =>
  `(SELECT r.id, r.task_id FROM runs r WHERE r.status = '${status}' AND r.job_name BETWEEN n.job_name AND n.job_name
     ORDER BY r.job_name DESC, r.id DESC LIMIT n.most)`
const COUNTS = {
  name: 'board_lane_counts',
  text: `WITH held AS MATERIALIZED (
      SELECT job_name, count(*) AS active FROM runs WHERE status IN ('running', 'waiting') AND job_name = ANY ($1) GROUP BY job_name
    ) SELECT n.job_name, waiting, delayed, least(coalesce(held.active, 0), n.most)::integer AS active, completed, failed
    FROM unnest($1::text[], $2::integer[]) AS n (job_name, most)
    LEFT JOIN held ON held.job_name = n.job_name
    CROSS JOIN LATERAL (
      SELECT count(*) FILTER (WHERE NOT x.scheduled)::integer AS waiting, count(*) FILTER (WHERE x.scheduled)::integer AS delayed
      FROM (SELECT r.scheduled FROM runs r WHERE r.status = 'queued' AND r.job_name BETWEEN n.job_name AND n.job_name
        ORDER BY r.job_name, r.id LIMIT n.most) x) queued
    CROSS JOIN LATERAL (
      SELECT least(count(*), n.most)::integer AS completed FROM (${newest('succeeded')} UNION ALL ${newest('cancelled')}) x) completed
    CROSS JOIN LATERAL (
      SELECT least(count(*), n.most)::integer AS failed FROM (${newest('failed')} UNION ALL ${newest('timed_out')}) x
      WHERE (SELECT t.run_id = x.id AND t.status = 'dead_letter' FROM tasks t WHERE t.id = x.task_id)) failed`,
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

/**
 * Lanes with unfinished runs first, then those that were used last; O(1) in the number of runs. Where `limit` has room for all lanes with
 * queued runs none of them is missing.
 */
export const busyLanes = async (on: Queryable, limit: number): Promise<readonly string[]> =>
  (await execute(on, BUSY, [limit])).map((row) => row.job_name)

/** Lanes whose `<workspace>/<agent>/<lane>` contains the text. */
export const findLanes = async (on: Queryable, text: string, limit: number): Promise<readonly string[]> =>
  (await execute(on, FIND, [text, limit])).map((row) => row.job_name)

/** What is known of each of these lanes, in their order; a name whose workspace does not exist is absent. */
export const boardLanes = (on: Queryable, names: readonly string[]): Promise<readonly BoardLane[]> =>
  names.length === 0 ? Promise.resolve([]) : execute(on, FACTS, [names])

/** The runs of each lane by state, each counted up to its bound. `failed` are the dead letters among as many of the newest failed. */
export async function laneCounts(
  on: Queryable,
  bounds: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, LaneCounts>> {
  if (bounds.size === 0) return new Map()
  const rows = await execute(on, COUNTS, [[...bounds.keys()], [...bounds.values()]])
  return new Map(rows.map(({ job_name, ...counts }) => [job_name, counts]))
}
