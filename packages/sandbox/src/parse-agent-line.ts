import { type FromAgent, fromAgentSchema, type JsonValue } from '@muster/contracts'
import { storableJson } from './storable.ts'

/** The message that a line of an agent's stdout carries, fit to be stored, or null for any other line. */
export function parseAgentLine(text: string): FromAgent | null {
  if (!text.trimStart().startsWith('{')) return null
  let value: JsonValue
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  // Only an escape can bring in what cannot be stored.
  return fromAgentSchema.safeParse(text.includes('\\u') ? storableJson(value) : value).data ?? null
}
