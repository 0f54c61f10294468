import { GateUnavailable } from './gate-unavailable.ts'

/** The promise's outcome, or a rejection with `GateUnavailable` when it has none within `timeoutMs`. A late outcome is dropped. */
export const withDeadline = <T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> =>
  new Promise((resolve, reject) => {
    const late = () => reject(new GateUnavailable(`${what}: no answer within ${timeoutMs} ms`))
    // Answers that already arrived while the process was busy come before the verdict.
    const timer = setTimeout(() => setImmediate(late), timeoutMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
