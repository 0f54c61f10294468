import type { WaitingQuestion, WaitingScope } from '@muster/store'

/** A place that is held for a command until it is known what became of it. */
export type Seat = {
  /** The command was accepted and waits. */
  keep(): void
  /** It was not. */
  giveBack(): void
}

const FRESH_MS = 1000

/** How much waits in one limited queue, as far as this process knows: the last count, and what it has added or may add since. */
export class WaitingQueue {
  readonly scope: WaitingScope
  readonly #count: (question: WaitingQuestion) => Promise<number>
  readonly #nowMs: () => number
  #max: number
  #counted = 0
  #countedAt = Number.NEGATIVE_INFINITY
  #counting: Promise<void> | null = null
  /** Accepted since the count was asked for. */
  #kept = 0
  /** Neither kept nor given back. */
  #held = 0

  /** `nowMs`: the monotonic clock of this process unless told. */
  constructor(
    scope: WaitingScope,
    max: number,
    count: (question: WaitingQuestion) => Promise<number>,
    nowMs: () => number = () => performance.now(),
  ) {
    this.scope = scope
    this.#max = max
    this.#count = count
    this.#nowMs = nowMs
  }

  get max(): number {
    return this.#max
  }

  get hasRoom(): boolean {
    return this.#counted + this.#kept + this.#held < this.#max
  }

  /** Sets another limit; the last count went no further than the old one and counts no more. */
  bound(max: number): void {
    if (max === this.#max) return
    this.#max = max
    this.#countedAt = Number.NEGATIVE_INFINITY
  }

  /** Counts anew when the last count is older than a second; whoever asks meanwhile waits for the same count. */
  async refresh(): Promise<void> {
    if (this.#counting === null && this.#nowMs() - this.#countedAt < FRESH_MS) return
    this.#counting ??= this.#recount().finally(() => {
      this.#counting = null
    })
    await this.#counting
  }

  sit(): Seat {
    this.#held++
    return {
      keep: () => {
        this.#held--
        this.#kept++
      },
      giveBack: () => {
        this.#held--
      },
    }
  }

  async #recount(): Promise<void> {
    const askedAt = this.#nowMs()
    const max = this.#max
    // what is kept while the count is under way may or may not be in it: taken for not, so that the limit holds
    const keptBefore = this.#kept
    this.#counted = await this.#count({ scope: this.scope, max })
    this.#kept -= keptBefore
    if (max === this.#max) this.#countedAt = askedAt
  }
}
