import { z } from 'zod'
import { isStorable } from './text.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject
export type JsonObject = { [key: string]: JsonValue }

const DEPTH_MAX = 32
/** Faults of one value that are told; for the rest nobody pays, neither in time nor in memory. */
const FAULTS_MAX = 100

/**
 * A JSON object kept as it was sent: own keys such as `__proto__` survive, since nothing is copied.
 * Refused, with the place of each of the first 100: nesting deeper than 32, NUL, lone surrogates, numbers beyond a double, which JSON
 * would write as null.
 */
export const jsonObjectSchema = z
  .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    error: 'expected an object',
  })
  .superRefine(reportFaults)
  .meta({ override: { type: 'object', additionalProperties: true } })

export const jsonValueSchema = z
  .custom<JsonValue>((value) => value !== undefined)
  .superRefine(reportFaults)
  .meta({ override: {} })

/** JSON that was checked before it was kept: looked at no deeper than its outermost shape. */
export const keptValueSchema = z.custom<JsonValue>((value) => value !== undefined).meta({ override: {} })

export const keptObjectSchema = z
  .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    error: 'expected an object',
  })
  .meta({ override: { type: 'object', additionalProperties: true } })

/**
 * A map from names to strings, kept as it was sent; each entry is checked by `entryFault`, which answers a message or null.
 * `names`: what the API document tells of them.
 */
export const stringMapSchema = (
  names: { readonly pattern: string } | { readonly minLength: number; readonly maxLength: number },
  entryFault: (name: string, value: string, map: Readonly<Record<string, string>>) => string | null,
) =>
  z
    .custom<Readonly<Record<string, string>>>(
      (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
      { error: 'expected an object' },
    )
    .superRefine((map, context) => {
      let faults = 0
      for (const [name, value] of Object.entries(map)) {
        const fault = stringFault(name, value) ?? entryFault(name, value, map)
        if (fault === null) continue
        context.addIssue({ code: 'custom', message: fault, path: [name] })
        faults++
        if (faults === FAULTS_MAX) return
      }
    })
    .meta({ override: { type: 'object', propertyNames: names, additionalProperties: { type: 'string' } } })

function stringFault(name: string, value: unknown): string | null {
  if (typeof value !== 'string') return 'expected a string'
  return isStorable(name) && isStorable(value) ? null : 'contains NUL or a lone surrogate'
}

type Issues = { addIssue: (issue: { code: 'custom'; message: string; path: (string | number)[] }) => void }

function reportFaults(root: unknown, context: Issues): void {
  const path: (string | number)[] = []
  let left = FAULTS_MAX

  function report(message: string): void {
    if (left === 0) return
    context.addIssue({ code: 'custom', message, path: [...path] })
    left--
  }

  function look(value: unknown): void {
    if (path.length > DEPTH_MAX) report(`nested deeper than ${DEPTH_MAX}`)
    else if (typeof value === 'string') {
      if (!isStorable(value)) report('contains NUL or a lone surrogate')
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) report('a number too large to be kept')
    } else if (typeof value === 'bigint') {
      report('an integer beyond 2^53, which would lose digits: send it as a string')
    } else if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) if (!lookInto(index, item)) return
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        if (!isStorable(key)) report('key contains NUL or a lone surrogate')
        if (!lookInto(key, item)) return
      }
    }
  }

  /** Answers whether there is a fault left to be told: where not, there is nothing more to look for. */
  function lookInto(place: string | number, item: unknown): boolean {
    path.push(place)
    look(item)
    path.pop()
    return left > 0
  }

  look(root)
}
