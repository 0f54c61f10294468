import { AppError } from '@muster/core'
import { pause } from './pause.ts'

const RETRY_MS = 250

/**
 * Repeats an idempotent statement until Postgres answers, however long it is away. `onUndecided` is told before each new try.
 * Rejects with any other error, and when the signal aborts.
 */
export async function untilAnswered<T>(
  statement: () => Promise<T>,
  options: { readonly signal: AbortSignal; readonly onUndecided?: (error: unknown) => void },
): Promise<T> {
  for (;;) {
    options.signal.throwIfAborted()
    try {
      return await statement()
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unavailable') throw error
      options.onUndecided?.(error)
      await pause(RETRY_MS, options.signal)
    }
  }
}
