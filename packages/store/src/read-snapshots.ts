import { keptValueSchema, runStatusSchema, type Snapshot } from '@muster/contracts'
import { z } from 'zod'
import { type Page, type PageRequest, pageFrom } from './page.ts'
import { execute, type Queryable } from './statement.ts'
import { timestamp } from './timestamp.ts'

const STATEMENT = {
  name: 'list_snapshots',
  text: `SELECT run_id, seq, attempt, status, state, at FROM snapshots
    WHERE run_id = $1 AND ($2::integer IS NULL OR seq < $2) ORDER BY event_seq DESC LIMIT $3`,
  row: z.object({
    run_id: z.string(),
    seq: z.int(),
    attempt: z.int().nullable(),
    status: runStatusSchema,
    state: keptValueSchema.nullable(),
    at: timestamp,
  }),
}

/** The snapshots of a run, newest first; `before` is a number. */
export async function listSnapshots(on: Queryable, runId: string, page: PageRequest): Promise<Page<Snapshot>> {
  const before = page.before === null ? null : Number(page.before)
  const rows = await execute(on, STATEMENT, [runId, before, page.limit + 1])
  return pageFrom(
    rows,
    page,
    (row) => String(row.seq),
    (row) => ({ id: `snp_${runId.slice('run_'.length)}-${row.seq}`, ...row }),
  )
}
