/** Short enough that, with how long a key that was found is believed, a revoked one is refused within 5 s. */
const ASK_MS = 1000

/** What a call that stays open registers to be told that its key is refused by now; what is given back forgets it. */
export type OnRefused = (end: () => void) => () => void

type Watched = { readonly ends: Set<() => void>; readonly stop: () => void }

/** Asks once a second for every key that calls are open with, whatever their number, and ends them when it is refused. */
export class KeyWatch {
  readonly #isRefused: (authorization: string) => Promise<boolean>
  readonly #keys = new Map<string, Watched>()

  /** `isRefused`: of the header `Authorization`; false also while nobody can tell. */
  constructor(isRefused: (authorization: string) => Promise<boolean>) {
    this.#isRefused = isRefused
  }

  /** Calls `end` once, when the key is refused. What is given back forgets it. */
  watch(authorization: string, end: () => void): () => void {
    const watched = this.#keys.get(authorization) ?? this.#begin(authorization)
    watched.ends.add(end)
    return () => {
      watched.ends.delete(end)
      if (watched.ends.size === 0) this.#stop(authorization, watched)
    }
  }

  #begin(authorization: string): Watched {
    const ends = new Set<() => void>()
    let asking = false
    const ask = async (): Promise<void> => {
      if (asking) return
      asking = true
      const refused = await this.#isRefused(authorization).finally(() => {
        asking = false
      })
      if (!refused) return
      this.#stop(authorization, watched)
      for (const end of ends) end()
    }
    const timer = setInterval(() => void ask(), ASK_MS)
    timer.unref()
    const watched = { ends, stop: () => clearInterval(timer) }
    this.#keys.set(authorization, watched)
    return watched
  }

  #stop(authorization: string, watched: Watched): void {
    watched.stop()
    if (this.#keys.get(authorization) === watched) this.#keys.delete(authorization)
  }
}
