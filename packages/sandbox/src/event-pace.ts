export type EventPace = {
  /** Counts events and answers for how many milliseconds no more of them should be taken. */
  spend(count: number): number
}

const SECOND_MS = 1_000

/** Lets through a second's worth of events at once and after that no more a second than told. */
export function createEventPace(eventsPerSecond: number, now: () => number = () => performance.now()): EventPace {
  let left = eventsPerSecond
  let last = now()
  return {
    spend(count) {
      const at = now()
      left = Math.min(eventsPerSecond, left + ((at - last) / SECOND_MS) * eventsPerSecond) - count
      last = at
      return left >= 0 ? 0 : (-left / eventsPerSecond) * SECOND_MS
    },
  }
}
