import { setImmediate as nextTurn } from 'node:timers/promises'

/** Work that may be left between any two of its steps, and gone on with later. */
export type Steps<T> = Generator<undefined, T, undefined>

const SLICE_MS = 1

/** Does it all without a pause. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const next = steps.next()
    if (next.done === true) return next.value
  }
}

/** Goes on for about so many ms. */
export function goOn<T>(steps: Steps<T>, ms: number): IteratorResult<undefined, T> {
  const until = performance.now() + ms
  for (;;) {
    const next = steps.next()
    if (next.done === true || performance.now() >= until) return next
  }
}

/** Does it a millisecond at a time. In between, whatever else waits for this thread has its turn. */
export async function inSlices<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const next = goOn(steps, SLICE_MS)
    if (next.done === true) return next.value
    await nextTurn()
  }
}
