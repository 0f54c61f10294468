import type { RunEvent } from '@muster/contracts'
import { type Appended, appendEvents, type EventBatch, type NewEvent } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { pause } from './pause.ts'
import { publishEvents } from './publish-events.ts'
import { settleBatch } from './settle-batch.ts'
import { untilAnswered } from './until-answered.ts'

export type Written = { readonly fenced: boolean; readonly snapshots: readonly number[] }

const GATHER_MS = 20
const GATHER_EVENTS = 64
const BATCH_EVENTS = 1000

type Waiting = {
  readonly runId: string
  readonly generation: number
  readonly events: readonly NewEvent[]
  readonly resolve: (written: Written) => void
  readonly reject: (error: unknown) => void
}

/**
 * Writes the events of all runs of a worker: every 20 ms or 64 events one statement numbers them, and only then live readers see them.
 * Whoever awaits `write` before it reads on bounds what is buffered. Events of one run keep their order.
 */
export class EventWriter {
  readonly #context: EngineContext
  readonly #signal: AbortSignal
  #waiting: Waiting[] = []
  #count = 0
  #looping = false
  #hurry: AbortController = new AbortController()
  /** Appends so far of each run and generation that is held. */
  readonly #flushes = new Map<string, number>()

  constructor(context: EngineContext, signal: AbortSignal) {
    this.#context = context
    this.#signal = signal
  }

  /** Resolves when the events are numbered, or when they were refused because the generation no longer holds the run (`fenced`). */
  write(runId: string, generation: number, events: readonly NewEvent[]): Promise<Written> {
    if (events.length === 0) return Promise.resolve({ fenced: false, snapshots: [] })
    return new Promise((resolve, reject) => {
      this.#waiting.push({ runId, generation, events, resolve, reject })
      this.#count += events.length
      if (this.#count >= GATHER_EVENTS) this.flush()
      if (!this.#looping) void this.#run()
    })
  }

  /** Forgets a run whose attempt is over. */
  forget(runId: string, generation: number): void {
    this.#flushes.delete(holdOf({ runId, generation }))
  }

  /** Writes what waits without gathering longer. */
  flush(): void {
    this.#hurry.abort()
  }

  async #run(): Promise<void> {
    this.#looping = true
    while (this.#waiting.length > 0) {
      await pause(GATHER_MS, this.#hurry.signal).catch(() => undefined)
      this.#hurry = new AbortController()
      const batch = this.#take()
      try {
        const merged = this.#merge(batch)
        const written = await settleBatch(merged, (some) =>
          untilAnswered(() => appendEvents(this.#context.database.pool, some), { signal: this.#signal }),
        )
        this.#answer(batch, merged, written)
      } catch (error) {
        for (const each of batch) each.reject(error)
      }
    }
    // in the same turn as the last look, so that no write falls between the two
    this.#looping = false
  }

  #take(): readonly Waiting[] {
    let taken = 0
    let events = 0
    for (const each of this.#waiting) {
      if (taken > 0 && events + each.events.length > BATCH_EVENTS) break
      taken++
      events += each.events.length
    }
    const batch = this.#waiting.slice(0, taken)
    this.#waiting = this.#waiting.slice(taken)
    this.#count -= events
    if (this.#count >= GATHER_EVENTS) this.#hurry.abort()
    return batch
  }

  /** One item a run and generation, in the order of writing. */
  #merge(batch: readonly Waiting[]): readonly EventBatch[] {
    return Array.from(Map.groupBy(batch, holdOf), ([hold, group]) => {
      const flush = (this.#flushes.get(hold) ?? 0) + 1
      this.#flushes.set(hold, flush)
      const separator = hold.lastIndexOf('/')
      return {
        runId: hold.slice(0, separator),
        generation: Number(hold.slice(separator + 1)),
        flush,
        events: group.flatMap((each) => each.events),
      }
    })
  }

  #answer(
    batch: readonly Waiting[],
    merged: readonly EventBatch[],
    written: readonly PromiseSettledResult<Appended | null>[],
  ): void {
    const byHold = new Map(merged.map((each, index) => [holdOf(each), written[index]]))
    const nextSeq = new Map<string, number>()
    const nextSnapshot = new Map<string, number>()
    const shown: RunEvent[] = []
    for (const each of batch) {
      const hold = holdOf(each)
      const outcome = byHold.get(hold)
      if (outcome === undefined || outcome.status === 'rejected') {
        each.reject(outcome?.reason ?? new Error(`events of ${each.runId} were not answered`))
        continue
      }
      const appended = outcome.value
      if (appended === null) {
        each.resolve({ fenced: true, snapshots: [] })
        continue
      }
      const snapshots: number[] = []
      let seq = nextSeq.get(hold) ?? appended.firstSeq
      let saved = nextSnapshot.get(hold) ?? 0
      for (const event of each.events) {
        const snapshot = event.state === undefined ? undefined : appended.snapshots[saved++]
        if (snapshot !== undefined) snapshots.push(snapshot)
        shown.push({
          run_id: each.runId,
          seq: seq++,
          attempt: appended.attempt,
          type: event.type,
          at: appended.at.toISOString(),
          data: snapshot === undefined ? event.data : { ...event.data, seq: snapshot },
        })
      }
      nextSeq.set(hold, seq)
      nextSnapshot.set(hold, saved)
      each.resolve({ fenced: false, snapshots })
    }
    this.#context.report?.wrote?.(shown.length)
    void publishEvents(this.#context, shown)
  }
}

const holdOf = (each: { readonly runId: string; readonly generation: number }): string =>
  `${each.runId}/${each.generation}`
