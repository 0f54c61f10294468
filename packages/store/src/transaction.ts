import { AppError } from '@muster/core'
import type pg from 'pg'
import { isConnectionError } from './connection-error.ts'
import type { Queryable } from './statement.ts'

/** Runs ordinary configuration writes in one transaction; rolls back what `work` throws at. Hot statements never use it. */
export async function transaction<T>(pool: pg.Pool, work: (on: Queryable) => Promise<T>): Promise<T> {
  const client = await connect(pool)
  let broken: Error | undefined
  // a connection that is lost now would otherwise end the process: the pool listens only to those that it has
  const onLost = (error: Error): void => {
    broken = error
  }
  client.on('error', onLost)
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch((cause: unknown) => {
      broken = new Error('the connection cannot be used again', { cause })
    })
    if (isConnectionError(error)) throw unavailable(error)
    throw error
  } finally {
    client.off('error', onLost)
    client.release(broken)
  }
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect()
  } catch (error) {
    if (isConnectionError(error)) throw unavailable(error)
    throw error
  }
}

const unavailable = (cause: unknown): AppError =>
  new AppError('unavailable', 'the database cannot be reached', { retryAfterMs: 1000, cause })
