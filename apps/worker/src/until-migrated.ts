import { setTimeout as delay } from 'node:timers/promises'
import type { PacedWarn } from '@muster/runtime'
import { type Database, pendingMigrations } from '@muster/store'

const LOOK_AGAIN_MS = 1000

/** Waits until Postgres answers and has every migration: whoever starts workers need not know when either will be. */
export async function untilMigrated(
  { pool }: Database,
  migrationsDir: string,
  { signal, warn }: { readonly signal: AbortSignal; readonly warn: PacedWarn },
): Promise<void> {
  const isMigrated = async (): Promise<boolean> => {
    try {
      const pending = await pendingMigrations(pool, migrationsDir)
      if (pending.length === 0) return true
      throw new Error(`not applied: ${pending.join(', ')}`)
    } catch (error) {
      if (!signal.aborted) warn(error, {}, 'waiting for Postgres and its migrations')
      return false
    }
  }
  // What is under way may take seconds, and nobody waits for it any more once the process is to stop.
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => undefined)
  signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true })
  signal.throwIfAborted()
  while (!(await Promise.race([isMigrated(), aborted.promise])))
    await Promise.race([delay(LOOK_AGAIN_MS), aborted.promise])
}
