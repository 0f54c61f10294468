import type { RunEvent } from '@muster/contracts'
import type { EngineContext } from '@muster/engine'
import { readEvents, runsAheadOf } from '@muster/store'
import { type News, RunWatch } from './run-watch.ts'

const POLL_MS = 1000
/** Events in one batch. */
const BATCH_MAX = 256

type Watched = { readonly watches: Set<RunWatch>; readonly stop: () => void }

/**
 * Follows the logs of runs for this process's readers: woken by Redis where it is there, and once a second by one query over all watched
 * runs. Every reader gets each event once, in order, without a hole, whatever wakes it and when.
 */
export class RunLogs {
  readonly #context: EngineContext
  readonly #runs = new Map<string, Watched>()
  readonly #timer: NodeJS.Timeout
  #closed = false
  #polling = false

  constructor(context: EngineContext) {
    this.#context = context
    this.#timer = setInterval(() => void this.#poll(), POLL_MS)
    this.#timer.unref()
  }

  /** How many readers follow a run now. */
  get readers(): number {
    let count = 0
    for (const { watches } of this.#runs.values()) count += watches.size
    return count
  }

  /** The events after a number, first those that are there, then new ones, until the run has finished or is gone, the signal aborts or this closes. */
  async *follow(runId: string, afterSeq: number, signal: AbortSignal): AsyncGenerator<readonly RunEvent[], void> {
    const watch = new RunWatch(afterSeq)
    const leave = this.#join(runId, watch)
    const onAbort = (): void => watch.end()
    signal.addEventListener('abort', onAbort)
    if (signal.aborted || this.#closed) watch.end()
    try {
      let news: News | null = watch.ended ? null : 'store'
      while (news !== null) {
        const events: readonly RunEvent[] = news === 'store' ? await this.#read(runId, watch.seq) : news
        const last = events.at(-1)
        if (last !== undefined) {
          watch.seq = last.seq
          yield events
          if (last.type === 'run.finished') return
        }
        // a full batch may have more behind it
        news = events.length === BATCH_MAX && !watch.ended ? 'store' : await watch.next()
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      leave()
    }
  }

  /** Ends every reader; later ones end at once. */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const { watches } of this.#runs.values()) for (const watch of watches) watch.end()
  }

  #join(runId: string, watch: RunWatch): () => void {
    const watched = this.#runs.get(runId) ?? this.#watch(runId)
    watched.watches.add(watch)
    return () => {
      watched.watches.delete(watch)
      if (watched.watches.size > 0 || this.#runs.get(runId) !== watched) return
      this.#runs.delete(runId)
      watched.stop()
    }
  }

  #watch(runId: string): Watched {
    const watches = new Set<RunWatch>()
    const stop = this.#context.gate.live.subscribe(runId, (events) => {
      for (const watch of watches) watch.wake(events.length === 0 ? 'store' : events)
    })
    const watched = { watches, stop }
    this.#runs.set(runId, watched)
    return watched
  }

  async #read(runId: string, afterSeq: number): Promise<readonly RunEvent[]> {
    try {
      return await readEvents(this.#context.database.pool, runId, afterSeq, BATCH_MAX)
    } catch (error) {
      // the poll finds these events as soon as Postgres answers again
      this.#context.log.warn({ err: error, run_id: runId }, 'events could not be read')
      return []
    }
  }

  async #poll(): Promise<void> {
    if (this.#polling || this.#runs.size === 0) return
    this.#polling = true
    try {
      const known = new Map<string, number>()
      for (const [runId, { watches }] of this.#runs)
        known.set(runId, Math.min(...Array.from(watches, (watch) => watch.seq)))
      for (const { id, gone } of await runsAheadOf(this.#context.database.pool, known))
        for (const watch of this.#runs.get(id)?.watches ?? []) {
          // what retention removed has no end to wait for
          if (gone) watch.end()
          else watch.wake('store')
        }
    } catch (error) {
      this.#context.log.warn({ err: error }, 'watched runs could not be polled')
    } finally {
      this.#polling = false
    }
  }
}
