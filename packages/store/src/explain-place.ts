import { runStatusSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'explain_place',
  text: `SELECT r.status, r.pool, r.queued_at, r.not_before > now() AS not_due, r.not_before, r.session_id, s.current_run_id,
      r.session_order IS NOT NULL AS in_order,
      (SELECT count(*)::integer FROM (SELECT 1 FROM runs o WHERE o.session_id = r.session_id AND o.status = 'queued'
        AND o.session_order < r.session_order LIMIT 10000) ahead) AS queued_ahead,
      c.status AS current_status, c.started_at AS current_started_at, now() AS now
    FROM runs r LEFT JOIN sessions s ON s.id = r.session_id LEFT JOIN runs c ON c.id = s.current_run_id
    WHERE r.id = $1`,
  row: z.object({
    status: runStatusSchema,
    pool: z.string(),
    queued_at: z.date(),
    not_due: z.boolean().nullable(),
    not_before: z.date().nullable(),
    session_id: z.string().nullable(),
    current_run_id: z.string().nullable(),
    in_order: z.boolean(),
    queued_ahead: z.int(),
    current_status: runStatusSchema.nullable(),
    current_started_at: z.date().nullable(),
    now: z.date(),
  }),
}
export type ExplainPlace = z.infer<typeof STATEMENT.row>

/** Where a run stands as Postgres sees it; null when there is no such run. */
export async function explainPlace(on: Queryable, runId: string): Promise<ExplainPlace | null> {
  const [row] = await execute(on, STATEMENT, [runId])
  return row ?? null
}
