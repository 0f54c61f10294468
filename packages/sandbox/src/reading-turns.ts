import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'

/** What it took to read some of an agent's output, kept or not. */
export type ReadCost = {
  /** How many events it costs as much as. */
  readonly count: number
  /** Of the main thread. */
  readonly ms: number
}

export type ReadingTurns = {
  /**
   * Does some of the work for one agent when it is its turn, and answers how many milliseconds that took. Among those that wait,
   * the one goes first whose agent took least of the thread so far, as `usedMs` tells.
   */
  take(usedMs: number, work: () => void): Promise<number>
}

export type ReadingTurnBounds = {
  /** Works are done in one turn of the event loop until they took so many milliseconds together. */
  readonly turnMs: number
  /** How much longer than a turn took nothing is done after it. */
  readonly restFactor: number
}

type Waiting = { readonly usedMs: number; readonly perform: () => number }

const MICROSECONDS = 1_000
/** What the clock of the event loop can tell. */
const REST_MIN_MS = 1

/** How many milliseconds of this thread a work takes: what others have of the processor meanwhile is not its agent's to pay. */
export function timed(work: () => void): number {
  const before = process.threadCpuUsage()
  work()
  const after = process.threadCpuUsage()
  return (after.user - before.user + after.system - before.system) / MICROSECONDS
}

/** Works of many agents that would hold up all else in the thread, if they came together, one after the other. */
export function createReadingTurns({ turnMs, restFactor }: ReadingTurnBounds): ReadingTurns {
  const waiting: Waiting[] = []
  let serving = false

  async function serve(): Promise<void> {
    serving = true
    while (waiting.length > 0) {
      await nextTurn()
      let ms = 0
      do ms += takeNext(waiting)?.perform() ?? 0
      while (ms < turnMs && waiting.length > 0)
      if (ms * restFactor >= REST_MIN_MS) await delay(ms * restFactor)
    }
    serving = false
  }

  return {
    take: (usedMs, work) =>
      new Promise((resolve, reject) => {
        waiting.push({ usedMs, perform: () => settled(work, resolve, reject) })
        if (!serving) void serve()
      }),
  }
}

function takeNext(waiting: Waiting[]): Waiting | undefined {
  const least = Math.min(...waiting.map(({ usedMs }) => usedMs))
  const next = waiting.findIndex(({ usedMs }) => usedMs === least)
  return waiting.splice(next, 1)[0]
}

/** What fails is told to who asked for it, and keeps nobody else from a turn. */
function settled(work: () => void, resolve: (ms: number) => void, reject: (error: unknown) => void): number {
  try {
    const ms = timed(work)
    resolve(ms)
    return ms
  } catch (error) {
    reject(error)
    return 0
  }
}
