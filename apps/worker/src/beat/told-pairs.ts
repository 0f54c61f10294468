export type PairChanges<Pair> = { readonly began: readonly Pair[]; readonly ended: readonly Pair[] }

/** The pairs that one side has in hand and the other is told of, by changes: what came and went between two takings is never told. */
export class ToldPairs<Pair> {
  readonly #keyOf: (pair: Pair) => string
  readonly #onChange: () => void
  readonly #told = new Set<string>()
  /** By key, what is to be told: whether the pair is in hand now. */
  readonly #changed = new Map<string, { readonly pair: Pair; readonly inHand: boolean }>()

  constructor(keyOf: (pair: Pair) => string, onChange: () => void) {
    this.#keyOf = keyOf
    this.#onChange = onChange
  }

  begin(pair: Pair): void {
    const key = this.#keyOf(pair)
    if (this.#told.has(key)) this.#changed.delete(key)
    else this.#changed.set(key, { pair, inHand: true })
    this.#onChange()
  }

  end(pair: Pair): void {
    const key = this.#keyOf(pair)
    if (!this.#told.has(key)) this.#changed.delete(key)
    else this.#changed.set(key, { pair, inHand: false })
    this.#onChange()
  }

  takeChanges(): PairChanges<Pair> {
    const began: Pair[] = []
    const ended: Pair[] = []
    for (const [key, { pair, inHand }] of this.#changed) {
      if (inHand) this.#told.add(key)
      else this.#told.delete(key)
      const changes = inHand ? began : ended
      changes.push(pair)
    }
    this.#changed.clear()
    return { began, ended }
  }
}
