import type { RunEvent } from '@muster/contracts'

/** What a wake-up brings: the next events themselves, or the news that Postgres has some. */
export type News = readonly RunEvent[] | 'store'

/** Events that wait for one reader at most; past it they are read from Postgres at the reader's own pace. */
const WAITING_MAX = 256

/** One reader's place in the log of a run, and what reached it while it was not waiting. */
export class RunWatch {
  /** The number of the last event that was read. */
  seq: number
  #news: News | null = null
  #ended = false
  #resolve: (() => void) | null = null

  constructor(seq: number) {
    this.seq = seq
  }

  wake(news: News): void {
    this.#news = this.#joined(news)
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

  /** The events right after `seq`, or where to look for them, as soon as there are any; null when the reader is to stop. */
  async next(): Promise<News | null> {
    while (!this.#ended) {
      const news = this.#news
      this.#news = null
      const fresh = news === null || news === 'store' ? news : this.#following(news)
      if (fresh !== null) return fresh
      await new Promise<void>((resolve) => {
        this.#resolve = resolve
      })
      this.#resolve = null
    }
    return null
  }

  #joined(news: News): News {
    if (this.#news === null) return news
    if (this.#news === 'store' || news === 'store') return 'store'
    const joined = [...this.#news, ...news]
    return joined.length > WAITING_MAX ? 'store' : joined
  }

  /** Without those read before; null when that leaves nothing, `store` when there is a hole. */
  #following(news: readonly RunEvent[]): News | null {
    const fresh = news.filter((event) => event.seq > this.seq)
    if (fresh.length === 0) return null
    return fresh.every((event, index) => event.seq === this.seq + 1 + index) ? fresh : 'store'
  }
}
