import { attempt } from './attempt.ts'
import { goOn, type Steps } from './steps.ts'

export type Turns<T> = {
  begin(number: number, steps: Steps<T>): void
  /** Gives up what was begun under that number. */
  drop(number: number): void
  /** Lets the work go on for a little, and tells of what came to its end. False once nothing is left. */
  turn(): boolean
}

/** What came of work: `failed` says in words why nothing. */
export type Done<T> = { readonly number: number } & ({ readonly size: T } | { readonly failed: string })

type Job<T> = { readonly number: number; readonly steps: Steps<T>; usedMs: number }

const SLICE_MS = 4
/** What took longer than that is large. */
const LARGE_MS = 200
/** What a large one has seen so far lies in memory. */
const LARGE_AT_ONCE = 4

/**
 * Work of which none has to wait for what is larger. In each turn all that was begun lately goes on for a slice, and then the large, a few
 * of them by turns while the others wait, for as long as that took together: so they come to their end however much is begun.
 */
export function createTurns<T>(onDone: (done: Done<T>) => void): Turns<T> {
  let young: Job<T>[] = []
  let large: Job<T>[] = []

  /** False at its end. */
  function goOnWith(job: Job<T>): boolean {
    const begun = performance.now()
    try {
      const next = goOn(job.steps, SLICE_MS)
      job.usedMs += performance.now() - begun
      if (next.done === true) onDone({ number: job.number, size: next.value })
      return next.done !== true
    } catch (error) {
      onDone({ number: job.number, failed: error instanceof Error ? error.message : String(error) })
      return false
    }
  }

  function goOnWithLarge(): void {
    const [first, ...others] = large
    large = first !== undefined && goOnWith(first) ? insertedAt(LARGE_AT_ONCE - 1, first, others) : others
  }

  return {
    begin(number, steps) {
      young.push({ number, steps, usedMs: 0 })
    },
    drop(number) {
      const dropped = [...young, ...large].filter((job) => job.number === number)
      for (const { steps } of dropped) attempt(() => steps.throw(new Error('dropped')))
      young = young.filter((job) => job.number !== number)
      large = large.filter((job) => job.number !== number)
    },
    turn() {
      const begun = performance.now()
      const unfinished = young.filter(goOnWith)
      const until = 2 * performance.now() - begun
      do goOnWithLarge()
      while (large.length > 0 && performance.now() < until)
      young = unfinished.filter((job) => job.usedMs <= LARGE_MS)
      large = [...large, ...unfinished.filter((job) => job.usedMs > LARGE_MS)]
      return young.length > 0 || large.length > 0
    },
  }
}

const insertedAt = <T>(index: number, one: T, others: readonly T[]): T[] => [
  ...others.slice(0, index),
  one,
  ...others.slice(index),
]
