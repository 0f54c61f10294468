import type { JsonValue } from '@muster/contracts'

/** Deeper than any message may be, shallow enough for the stack. */
const DEPTH_MAX = 64

/** Text that Postgres can hold: NUL and lone surrogates become U+FFFD. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD')
}

/**
 * The same for every string of a JSON value, keys included; of keys that become equal the last one stays. What lies deeper
 * than 64 levels is left as it is, for the schemas to refuse.
 */
export function storableJson(value: JsonValue, depth = 0): JsonValue {
  if (typeof value === 'string') return storableText(value)
  if (typeof value !== 'object' || value === null || depth > DEPTH_MAX) return value
  if (Array.isArray(value)) return value.map((item) => storableJson(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), storableJson(item, depth + 1)]),
  )
}
