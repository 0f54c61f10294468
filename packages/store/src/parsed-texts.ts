import type { z } from 'zod'

const KEPT_MAX = 1000

/** JSON texts read by a schema, each once while it is kept: what many rows carry alike is one value that nobody changes. */
export class ParsedTexts<Schema extends z.ZodType> {
  readonly #schema: Schema
  readonly #kept = new Map<string, z.ZodSafeParseResult<z.output<Schema>>>()

  constructor(schema: Schema) {
    this.#schema = schema
  }

  /** Throws where the text is no JSON at all. */
  of(text: string): z.ZodSafeParseResult<z.output<Schema>> {
    const known = this.#kept.get(text)
    if (known !== undefined) return known
    const parsed = this.#schema.safeParse(JSON.parse(text))
    if (this.#kept.size >= KEPT_MAX) this.#kept.clear()
    this.#kept.set(text, parsed)
    return parsed
  }
}
