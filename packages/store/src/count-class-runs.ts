import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const COUNTS = {
  name: 'count_class_runs',
  text: `SELECT class_key, sum(held)::integer AS running, sum(1 - held)::integer AS waiting,
      min(queued_at) FILTER (WHERE held = 0) AS oldest_waiting_at
    FROM (
      SELECT class_key, 0 AS held, queued_at FROM runs WHERE status = 'queued' AND class_key = ANY ($1)
      UNION ALL
      SELECT class_key, 1, queued_at FROM runs WHERE status IN ('running', 'waiting') AND class_key = ANY ($1)
    ) r GROUP BY class_key`,
  row: z
    .object({ class_key: z.string(), running: z.int(), waiting: z.int(), oldest_waiting_at: z.date().nullable() })
    .transform((row) => ({
      classKey: row.class_key,
      running: row.running,
      waiting: row.waiting,
      oldestWaitingAt: row.oldest_waiting_at,
    })),
}
export type ClassCount = z.infer<typeof COUNTS.row>

/** What each class has held and queued, counted in Postgres: O(backlog), for when the gate cannot tell. Idle classes are absent. */
export const countClassRuns = (on: Queryable, classKeys: readonly string[]): Promise<readonly ClassCount[]> =>
  execute(on, COUNTS, [classKeys])
