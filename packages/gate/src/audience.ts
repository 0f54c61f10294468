import type { Channels } from './channels.ts'

/** Whether anybody in the fleet reads events live, as far as this process has heard. */
export type Audience = {
  /** True while some process has readers, and while that is not known yet. */
  readonly isThere: () => boolean
  /** Counts a reader of this process, and tells the fleet while there is one. Answers the way to leave. */
  readonly join: () => () => void
}

/** Said so often in each lease, so that one message may be lost. */
const SAID_PER_LEASE = 3

/**
 * Processes with readers say so on a channel: with their first reader, and again while they have any. `leaseMs`: how long one word is good
 * for. Whoever cannot have heard, since it does not listen yet or listens anew, takes it that somebody is there.
 */
export const createAudience = (
  channels: Channels,
  channel: string,
  say: () => Promise<unknown>,
  leaseMs: number,
): Audience => {
  let heardUntil = Number.POSITIVE_INFINITY
  let listening = false
  let readers = 0
  let saying: NodeJS.Timeout | undefined

  const sayOnce = () => {
    // what is not heard is made up for: readers also look in Postgres
    say().catch(() => {})
  }
  return {
    isThere: () => {
      if (!listening) {
        listening = true
        channels.subscribe(channel, () => {
          heardUntil = performance.now() + leaseMs
        })
      }
      return readers > 0 || performance.now() < heardUntil
    },
    join: () => {
      if (++readers === 1) {
        sayOnce()
        saying = setInterval(sayOnce, leaseMs / SAID_PER_LEASE)
        saying.unref()
      }
      let here = true
      return () => {
        if (!here) return
        here = false
        if (--readers === 0) clearInterval(saying)
      }
    },
  }
}
