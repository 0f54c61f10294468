export type Pace = {
  /** Counts what was taken and answers for how many milliseconds no more should be. */
  spend(count: number): number
}

const SECOND_MS = 1_000

/** Lets through a second's worth at once and after that no more a second than told: of events, or of milliseconds of the thread. */
export function createPace(perSecond: number, now: () => number = () => performance.now()): Pace {
  let left = perSecond
  let last = now()
  return {
    spend(count) {
      const at = now()
      left = Math.min(perSecond, left + ((at - last) / SECOND_MS) * perSecond) - count
      last = at
      return left >= 0 ? 0 : (-left / perSecond) * SECOND_MS
    },
  }
}
