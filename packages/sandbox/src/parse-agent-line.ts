import { type FromAgent, fromAgentSchema, type JsonValue } from '@muster/contracts'
import type { Line } from './line-splitter.ts'
import { storableJson } from './storable.ts'

/** Whether it is worth a try to read a line as a message; cheap, for what agents print is mostly not. */
export function mayBeMessage({ text, cut }: Line): boolean {
  return !cut && text.trimStart().startsWith('{') && text.trimEnd().endsWith('}') && /"type"|\\u/.test(text)
}

/** The message that a line of an agent's stdout carries, fit to be stored, or null for any other line. */
export function parseAgentLine(text: string): FromAgent | null {
  let value: JsonValue
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  // Only an escape can bring in what cannot be stored.
  return fromAgentSchema.safeParse(text.includes('\\u') ? storableJson(value) : value).data ?? null
}
