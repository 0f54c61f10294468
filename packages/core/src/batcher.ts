import { AppError } from './app-error.ts'

/**
 * Gathers calls into batches: those of one turn of the event loop, and while one batch is in flight the next one gathers, so that there is
 * no timer and an idle system waits for nothing. `run` answers one result an item, in order. Items whose `apart` keys are equal never share
 * a batch. Past `waitingMax` items that wait, `add` rejects with `unavailable`, so that a server that hangs does not fill the memory.
 */
export class Batcher<Item, Result> {
  readonly #run: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly #max: number
  readonly #lanes: number
  readonly #waitingMax: number
  readonly #apart: (item: Item) => string | null
  #waiting: Entry<Item, Result>[] = []
  #flying = 0
  #departing = false

  constructor(
    run: (items: readonly Item[]) => Promise<readonly Result[]>,
    options: { max: number; lanes?: number; waitingMax?: number; apart?: (item: Item) => string | null },
  ) {
    this.#run = run
    this.#max = options.max
    this.#lanes = options.lanes ?? 1
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
    if (this.#departing || this.#flying >= this.#lanes) return
    this.#departing = true
    setImmediate(() => {
      this.#departing = false
      this.#depart()
    })
  }

  #depart(): void {
    while (this.#flying < this.#lanes && this.#waiting.length > 0) {
      const batch = this.#take()
      this.#flying++
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
