/** Where new events are likely to be found: in the live copy, or for certain in Postgres. */
export type Source = 'live' | 'store'

/** One reader's place in the log of a run, and the wake-ups that reached it while it was not waiting. */
export class RunWatch {
  /** The number of the last event that was read. */
  seq: number
  #woken: Source | null = null
  #ended = false
  #resolve: (() => void) | null = null

  constructor(seq: number) {
    this.seq = seq
  }

  wake(source: Source): void {
    if (this.#woken !== 'store') this.#woken = source
    this.#resolve?.()
  }

  /** The reader is to stop. */
  end(): void {
    this.#ended = true
    this.#resolve?.()
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Where to look next, as soon as somebody says so; null when the reader is to stop. A wake-up is never lost. */
  async next(): Promise<Source | null> {
    if (this.#woken === null && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve
      })
      this.#resolve = null
    }
    const woken = this.#woken
    this.#woken = null
    return this.#ended ? null : woken
  }
}
