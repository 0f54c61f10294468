import { z } from 'zod'
import { isStorable } from './text.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject
export type JsonObject = { [key: string]: JsonValue }

const DEPTH_MAX = 32

/**
 * A JSON object kept as it was sent: own keys such as `__proto__` survive, since nothing is copied.
 * Refused, with the place: nesting deeper than 32, NUL, lone surrogates, numbers beyond a double, which JSON would write as null.
 */
export const jsonObjectSchema = z
  .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    error: 'expected an object',
  })
  .superRefine((value, context) => reportFaults(value, [], context))
  .meta({ override: { type: 'object', additionalProperties: true } })

export const jsonValueSchema = z
  .custom<JsonValue>((value) => value !== undefined)
  .superRefine((value, context) => reportFaults(value, [], context))
  .meta({ override: {} })

/** JSON that was checked before it was kept: looked at no deeper than its outermost shape. */
export const keptValueSchema = z.custom<JsonValue>((value) => value !== undefined).meta({ override: {} })

export const keptObjectSchema = z
  .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    error: 'expected an object',
  })
  .meta({ override: { type: 'object', additionalProperties: true } })

/** A map from names to strings, kept as it was sent; each entry is checked by `entryFault`, which answers a message or null. */
export const stringMapSchema = (
  entryFault: (name: string, value: string, map: Readonly<Record<string, string>>) => string | null,
) =>
  z
    .custom<Readonly<Record<string, string>>>(
      (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
      { error: 'expected an object' },
    )
    .superRefine((map, context) => {
      for (const [name, value] of Object.entries(map)) {
        const fault = typeof value === 'string' ? entryFault(name, value, map) : 'expected a string'
        if (fault !== null) context.addIssue({ code: 'custom', message: fault, path: [name] })
        else if (!isStorable(name) || !isStorable(value))
          context.addIssue({ code: 'custom', message: 'contains NUL or a lone surrogate', path: [name] })
      }
    })
    .meta({ override: { type: 'object', additionalProperties: { type: 'string' } } })

type Issues = { addIssue: (issue: { code: 'custom'; message: string; path: (string | number)[] }) => void }

function reportFaults(value: JsonValue, path: (string | number)[], context: Issues): void {
  if (path.length > DEPTH_MAX) {
    context.addIssue({ code: 'custom', message: `nested deeper than ${DEPTH_MAX}`, path })
  } else if (typeof value === 'string') {
    if (!isStorable(value)) context.addIssue({ code: 'custom', message: 'contains NUL or a lone surrogate', path })
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) context.addIssue({ code: 'custom', message: 'a number too large to be kept', path })
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) reportFaults(item, [...path, index], context)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      if (!isStorable(key)) context.addIssue({ code: 'custom', message: 'key contains NUL or a lone surrogate', path })
      reportFaults(item, [...path, key], context)
    }
  }
}
