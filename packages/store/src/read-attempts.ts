import { type Attempt, attemptSchema } from '@muster/contracts'
import { type Page, type PageRequest, pageFrom } from './page.ts'
import { execute, type Queryable } from './statement.ts'
import { timestamp } from './timestamp.ts'

const STATEMENT = {
  name: 'list_attempts',
  text: `SELECT number, generation, node_id, runtime, status, started_at, ended_at, exit_code, failure, limits FROM attempts
    WHERE run_id = $1 AND ($2::integer IS NULL OR number < $2) ORDER BY number DESC LIMIT $3`,
  row: attemptSchema.extend({ started_at: timestamp, ended_at: timestamp.nullable() }),
}

/** The attempts of a run, newest first; `before` is a number. */
export async function listAttempts(on: Queryable, runId: string, page: PageRequest): Promise<Page<Attempt>> {
  const before = page.before === null ? null : Number(page.before)
  const rows = await execute(on, STATEMENT, [runId, before, page.limit + 1])
  return pageFrom(
    rows,
    page,
    (row) => String(row.number),
    (row) => row,
  )
}
