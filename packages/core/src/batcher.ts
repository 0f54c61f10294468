import { AppError } from './app-error.ts'

export type BatcherOptions<Item> = {
  /** Items of a batch at most. */
  readonly max: number
  /** Batches in flight at once. */
  readonly lanes?: number
  /**
   * How long a batch in flight keeps the next one from another lane, unless that is full: what gathers meanwhile costs less, and a batch
   * that hangs holds nobody up for longer.
   */
  readonly overtakeMs?: number
  /** When an item departs that finds nothing in flight: with what else this turn of the event loop brings, or at once. */
  readonly departs?: 'after the turn' | 'at once'
  /** Past so many items that wait, `add` rejects with `unavailable`, so that a server that hangs does not fill the memory. */
  readonly waitingMax?: number
  /** Items with one key never share a batch. */
  readonly apart?: (item: Item) => string | null
}

/**
 * Gathers calls into batches: those of one turn of the event loop, and while one batch is in flight the next one gathers, so that an idle
 * system waits for nothing. `run` answers one result an item, in order.
 */
export class Batcher<Item, Result> {
  readonly #run: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly #max: number
  readonly #lanes: number
  readonly #overtakeMs: number
  readonly #departs: 'after the turn' | 'at once'
  readonly #waitingMax: number
  readonly #apart: (item: Item) => string | null
  #waiting: Entry<Item, Result>[] = []
  #flying = 0
  #departedAt = Number.NEGATIVE_INFINITY
  #departure: 'none' | 'soon' | NodeJS.Timeout = 'none'

  constructor(run: (items: readonly Item[]) => Promise<readonly Result[]>, options: BatcherOptions<Item>) {
    this.#run = run
    this.#max = options.max
    this.#lanes = options.lanes ?? 1
    this.#overtakeMs = options.overtakeMs ?? 0
    this.#departs = options.departs ?? 'after the turn'
    this.#waitingMax = options.waitingMax ?? Number.POSITIVE_INFINITY
    this.#apart = options.apart ?? (() => null)
  }

  add(item: Item): Promise<Result> {
    if (this.#waiting.length >= this.#waitingMax)
      return Promise.reject(new AppError('unavailable', 'too much is waiting to be written', { retryAfterMs: 2000 }))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      this.#departSoon()
    })
  }

  #departSoon(): void {
    if (this.#departure === 'soon' || this.#flying >= this.#lanes) return
    const isFree = this.#flying === 0 || this.#waiting.length >= this.#max
    const restMs = isFree ? 0 : this.#departedAt + this.#overtakeMs - performance.now()
    if (restMs > 0) {
      if (this.#departure === 'none') this.#departure = setTimeout(() => this.#depart(), restMs)
      return
    }
    if (this.#departure !== 'none') clearTimeout(this.#departure)
    if (this.#departs === 'at once' && this.#flying === 0) {
      this.#depart()
      return
    }
    this.#departure = 'soon'
    setImmediate(() => this.#depart())
  }

  #depart(): void {
    this.#departure = 'none'
    while (this.#flying < this.#lanes && this.#waiting.length > 0) {
      const batch = this.#take()
      this.#flying++
      this.#departedAt = performance.now()
      void this.#fly(batch)
    }
  }

  #take(): Entry<Item, Result>[] {
    const batch: Entry<Item, Result>[] = []
    const left: Entry<Item, Result>[] = []
    const seen = new Set<string>()
    for (const entry of this.#waiting) {
      const key = this.#apart(entry.item)
      if (batch.length >= this.#max || (key !== null && seen.has(key))) left.push(entry)
      else {
        batch.push(entry)
        if (key !== null) seen.add(key)
      }
    }
    this.#waiting = left
    return batch
  }

  async #fly(batch: readonly Entry<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#run(batch.map((entry) => entry.item))
      for (const [index, entry] of batch.entries()) {
        const result = results[index]
        if (result === undefined) entry.reject(new Error('the batch answered fewer results than it had items'))
        else entry.resolve(result)
      }
    } catch (error) {
      for (const entry of batch) entry.reject(error)
    } finally {
      this.#flying--
      if (this.#waiting.length > 0) this.#departSoon()
    }
  }
}

type Entry<Item, Result> = {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}
