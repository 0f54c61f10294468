import type { JsonObject, JsonValue } from '@muster/contracts'
import { z } from 'zod'

/** JSON as it was written: checked before it was stored, so reading looks no deeper than its outermost shape. */
export const storedValue = z.custom<JsonValue>((value) => value !== undefined)

export const storedObject = z.custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
