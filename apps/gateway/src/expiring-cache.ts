type Entry<Value> = { readonly value: Value | null; readonly untilMs: number }

export type ExpiringCacheOptions = {
  /** How long a value that was found is believed, from the moment it was asked for. */
  readonly foundMs: number
  /** How long it is believed that there is none. */
  readonly absentMs: number
  readonly entriesMax: number
}

/** Remembers answers for a bounded time and in bounded number; questions that are under way are asked once. Failures are not kept. */
export class ExpiringCache<Value> {
  readonly #options: ExpiringCacheOptions
  readonly #entries = new Map<string, Entry<Value>>()
  readonly #underway = new Map<string, Promise<Value | null>>()

  constructor(options: ExpiringCacheOptions) {
    this.#options = options
  }

  async get(key: string, ask: () => Promise<Value | null>): Promise<Value | null> {
    const entry = this.#entries.get(key)
    if (entry !== undefined && performance.now() < entry.untilMs) return entry.value
    const underway = this.#underway.get(key)
    if (underway !== undefined) return underway
    const asked = this.#ask(key, ask).finally(() => this.#underway.delete(key))
    this.#underway.set(key, asked)
    return asked
  }

  async #ask(key: string, ask: () => Promise<Value | null>): Promise<Value | null> {
    const { foundMs, absentMs, entriesMax } = this.#options
    const askedMs = performance.now()
    const value = await ask()
    this.#entries.delete(key)
    this.#entries.set(key, { value, untilMs: askedMs + (value === null ? absentMs : foundMs) })
    const oldest = this.#entries.keys().next().value
    if (this.#entries.size > entriesMax && oldest !== undefined) this.#entries.delete(oldest)
    return value
  }
}
