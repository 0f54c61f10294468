import { AppError } from '@muster/core'
import { isConnectionError } from './connection-error.ts'

/** Codes by which Prisma says that the server cannot be reached, hung up, or gave no connection in time. */
const PRISMA_PASSING = new Set(['P1000', 'P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2034', 'P2037'])

/** Runs a read that goes through Prisma; throws `unavailable` when Postgres cannot be reached or does not answer in time. */
export async function ordinaryRead<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (isPassing(error))
      throw new AppError('unavailable', 'the database cannot be reached', { retryAfterMs: 1000, cause: error })
    throw error
  }
}

function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && PRISMA_PASSING.has(error.code)) return true
  return isConnectionError(error)
}
