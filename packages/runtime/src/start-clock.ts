import type { PacedWarn } from './pace-warnings.ts'

export type Clock = {
  /** Turns no more; resolves when what is under way is over. */
  stop(): Promise<void>
}

/** Does the work at an even pace, never twice at once. What fails is told, and tried again at the next turn. */
export function startClock(everyMs: number, work: () => Promise<unknown>, warn: PacedWarn): Clock {
  let underway: Promise<unknown> | null = null
  const timer = setInterval(() => {
    underway ??= work()
      .catch((error: unknown) => warn(error, {}, 'a clock turned in vain'))
      .finally(() => {
        underway = null
      })
  }, everyMs)
  return {
    async stop() {
      clearInterval(timer)
      await underway
    },
  }
}
