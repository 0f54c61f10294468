import { GateRefused, GateUnavailable } from './gate-unavailable.ts'

export type Breaker = {
  /** Runs the call unless the breaker is open; then it rejects at once with `GateUnavailable`. */
  readonly guard: <T>(what: string, call: () => Promise<T>) => Promise<T>
  readonly isOpen: () => boolean
  readonly stop: () => void
}

const FAILURES_MAX = 3
const PROBE_EVERY_MS = 250

/**
 * Opens after three calls in a row that failed with `GateUnavailable`, and after three of one kind in a row that Redis refused, whatever it
 * answered others: a full one still reads. While it is open a probe each 250 ms asks whether Redis serves again, so that no caller waits for
 * it; the first success closes it.
 */
export const createBreaker = (probe: () => Promise<unknown>): Breaker => {
  let failures = 0
  const refusals = new Map<string, number>()
  let timer: NodeJS.Timeout | null = null

  const close = () => {
    failures = 0
    refusals.clear()
    if (timer !== null) clearTimeout(timer)
    timer = null
  }
  const probeLater = () => {
    timer = setTimeout(() => {
      const mine = timer
      probe().then(close, () => {
        if (timer === mine && timer !== null) probeLater()
      })
    }, PROBE_EVERY_MS)
    timer.unref()
  }

  return {
    guard: async (what, call) => {
      if (timer !== null) throw new GateUnavailable(`${what}: Redis did not answer lately`)
      try {
        const result = await call()
        failures = 0
        refusals.delete(what)
        return result
      } catch (error) {
        failures = error instanceof GateUnavailable ? failures + 1 : 0
        const refused = error instanceof GateRefused ? (refusals.get(what) ?? 0) + 1 : 0
        refusals.set(what, refused)
        if (Math.max(failures, refused) >= FAILURES_MAX && timer === null) probeLater()
        throw error
      }
    },
    isOpen: () => timer !== null,
    stop: close,
  }
}
