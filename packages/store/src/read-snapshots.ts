import { keptValueSchema, runStatusSchema, type Snapshot } from '@muster/contracts'
import { z } from 'zod'
import type { Page, PageRequest } from './page.ts'
import { jsonBytes, PAGE_BYTES_MAX } from './page-of-ids.ts'
import { execute, type Queryable } from './statement.ts'
import { timestamp } from './timestamp.ts'

const STATEMENT = {
  name: 'list_snapshots',
  text: `SELECT run_id, seq, attempt, status, state, at, found FROM (
      SELECT *, sum(bytes) OVER (ORDER BY seq DESC) - bytes AS before, (count(*) OVER ())::integer AS found FROM (
        SELECT *, ${jsonBytes('state')} AS bytes FROM snapshots
        WHERE run_id = $1 AND ($2::integer IS NULL OR seq < $2) ORDER BY event_seq DESC LIMIT $3
      ) sized
    ) placed WHERE before < ${PAGE_BYTES_MAX} ORDER BY seq DESC`,
  row: z.object({
    run_id: z.string(),
    seq: z.int(),
    attempt: z.int().nullable(),
    status: runStatusSchema,
    state: keptValueSchema.nullable(),
    at: timestamp,
    /** How many there are, one more than the page's limit at most. */
    found: z.int(),
  }),
}

/** The snapshots of a run, newest first, as many as a page may hold; `before` is a number. */
export async function listSnapshots(on: Queryable, runId: string, page: PageRequest): Promise<Page<Snapshot>> {
  const before = page.before === null ? null : Number(page.before)
  const rows = await execute(on, STATEMENT, [runId, before, page.limit + 1])
  const kept = rows.slice(0, page.limit)
  const last = kept.at(-1)
  return {
    items: kept.map(({ found: _, ...row }) => ({ id: `snp_${runId.slice('run_'.length)}-${row.seq}`, ...row })),
    next: last !== undefined && last.found > kept.length ? String(last.seq) : null,
  }
}
