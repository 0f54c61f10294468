import { type FromAgent, fromAgentSchema, type JsonValue } from '@muster/contracts'
import { cutText } from './agent-event.ts'
import type { Line } from './line-splitter.ts'
import { storableJson, storableText } from './storable.ts'

/** What an agent says last, and what decides how its run ends. */
export type LastWord = 'result' | 'error'

/** It would have decided the outcome and is no message of the protocol; `reason` says why. */
export type RefusedLine = {
  readonly kind: 'refused'
  readonly word: LastWord
  readonly reason: string
  readonly retryable: boolean
}

export type ParsedLine =
  | { readonly kind: 'message'; readonly message: FromAgent }
  | { readonly kind: 'plain' }
  | RefusedLine

type Issue = { readonly path: readonly PropertyKey[]; readonly message: string }

const PLAIN: ParsedLine = { kind: 'plain' }
const TYPE_WITHIN = 256
/** Quotes in a string of JSON are escaped: what is found is a field of the outermost object, before any other object or array. */
const WORD_AT_START = /^\s*\{[^{[]*?"type"\s*:\s*"(result|error)"/
/** The same behind all others. */
const WORD_AT_END = /"type"\s*:\s*"(result|error)"\s*(?:,[^{}[\]]*)?\}\s*$/
const REASON_BYTES = 1024

/** Whether it is worth a try to read a line as a message; cheap, for what agents print is mostly not. */
export function mayBeMessage({ text, cut }: Line): boolean {
  return !cut && text.trimStart().startsWith('{') && text.trimEnd().endsWith('}') && /"type"|\\u/.test(text)
}

/** The message that a line of an agent's stdout carries, fit to be stored. */
export function parseAgentLine(text: string): ParsedLine {
  let value: JsonValue
  try {
    value = JSON.parse(text)
  } catch (error) {
    const word = lastWordAtStart(text)
    return word === null ? PLAIN : refused(word, `it is no JSON: ${error instanceof Error ? error.message : error}`)
  }
  // Only an escape can bring in what cannot be stored.
  const { data, error } = fromAgentSchema.safeParse(text.includes('\\u') ? storableJson(value) : value)
  if (data !== undefined) return { kind: 'message', message: data }
  const word = lastWordOf(value)
  if (word === null) return PLAIN
  const reason = error.issues.slice(0, 1).map(told).join('')
  return { ...refused(word, reason), retryable: word === 'error' && !isFinal(value) }
}

/** Of a line of which only the beginning is known. */
export function lastWordAtStart(text: string): LastWord | null {
  return wordOf(WORD_AT_START.exec(text.slice(0, TYPE_WITHIN)))
}

/** Of a line of which only the end is known. */
export function lastWordAtEnd(text: string): LastWord | null {
  return wordOf(WORD_AT_END.exec(text))
}

function refused(word: LastWord, reason: string): RefusedLine {
  return { kind: 'refused', word, reason: cutText(storableText(reason), REASON_BYTES), retryable: word === 'error' }
}

function lastWordOf(value: JsonValue): LastWord | null {
  const type = fieldOf(value, 'type')
  return type === 'result' || type === 'error' ? type : null
}

const isFinal = (value: JsonValue): boolean => fieldOf(value, 'retryable') === false

function fieldOf(value: JsonValue, name: string): JsonValue | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value[name] : undefined
}

const wordOf = (match: RegExpExecArray | null): LastWord | null =>
  match === null ? null : match[1] === 'result' ? 'result' : 'error'

const told = ({ path, message }: Issue): string => `${path.map(String).join('.')}: ${message}`
