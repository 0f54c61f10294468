import { AppError } from '@muster/core'
import type pg from 'pg'
import type { z } from 'zod'
import { isConnectionError } from './connection-error.ts'

/** A parameterized statement that is prepared once per connection, beside the schema of its rows. */
export type Statement<Row extends z.ZodType> = { readonly name: string; readonly text: string; readonly row: Row }

/** Anything that runs a query: the pool, or a connection of its own. */
export type Queryable = Pick<pg.Pool, 'query'>

/**
 * Runs a statement and parses its rows. Throws `unavailable` when Postgres cannot be reached or does not answer in time:
 * whether the statement was committed is then unknown.
 */
export async function execute<Row extends z.ZodType>(
  on: Queryable,
  statement: Statement<Row>,
  values: readonly unknown[],
): Promise<z.infer<Row>[]> {
  const result = await run(on, { name: statement.name, text: statement.text, values: [...values] })
  return result.rows.map((row) => statement.row.parse(row))
}

/** As `execute`, for a statement that always answers one row. */
export async function executeOne<Row extends z.ZodType>(
  on: Queryable,
  statement: Statement<Row>,
  values: readonly unknown[],
): Promise<z.infer<Row>> {
  const [row] = await execute(on, statement, values)
  if (row === undefined) throw new Error(`statement ${statement.name} answered no row`)
  return row
}

async function run(on: Queryable, query: pg.QueryConfig): Promise<pg.QueryResult> {
  try {
    return await on.query(query)
  } catch (error) {
    if (isConnectionError(error))
      throw new AppError('unavailable', 'the database cannot be reached', { retryAfterMs: 1000, cause: error })
    throw error
  }
}
