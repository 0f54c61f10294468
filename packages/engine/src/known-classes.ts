const KEPT_MAX = 100_000
/** Half of the hour after which a class that nobody makes known again is no longer known to be in use. */
const KEPT_MS = 1_800_000

/** The execution classes that this process made known a short while ago. */
export class KnownClasses {
  readonly #keys = new Set<string>()
  #since = performance.now()

  has(key: string): boolean {
    if (performance.now() - this.#since > KEPT_MS) this.#clear()
    return this.#keys.has(key)
  }

  add(keys: readonly string[]): void {
    if (this.#keys.size + keys.length > KEPT_MAX) this.#clear()
    for (const key of keys) this.#keys.add(key)
  }

  #clear(): void {
    this.#keys.clear()
    this.#since = performance.now()
  }
}
