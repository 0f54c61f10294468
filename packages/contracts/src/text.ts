import { z } from 'zod'

const NOT_STORABLE = 'contains NUL or a lone surrogate, which cannot be stored'

/** Text that Postgres can hold: no NUL and no lone surrogate (broken UTF-16). Length counts UTF-16 units. */
export const text = (min: number, max: number) =>
  z.string().min(min).max(max).refine(isStorable, { error: NOT_STORABLE })

export function isStorable(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0')
}

export const SLUG_FAULT = 'must match [a-z0-9][a-z0-9._-]{0,63}'

/** A key of a workspace, agent or lane: lower case, safe in paths and URLs. */
export const slugSchema = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, SLUG_FAULT)

/** Text that a client chooses as a key: sessions, labels, idempotency keys. */
export const clientKeySchema = text(1, 255)

/** Latest time that Postgres and RFC 3339 both can write; the earliest is the year 1. */
const TIME_MS_MAX = Date.UTC(9999, 11, 31, 23, 59, 59, 999)
const TIME_MS_MIN = new Date(0).setUTCFullYear(1, 0, 1)
const OFFSET_HOURS_MAX = 15

/** RFC 3339, of the years 1 to 9999, at an offset of less than 16 hours. */
export const timestampSchema = z.iso
  .datetime({ offset: true, abort: true })
  .refine(isStorableTime, { error: 'not a time of the years 1 to 9999' })

function isStorableTime(value: string): boolean {
  const ms = Date.parse(value)
  const offsetHours = Number(/[+-](\d\d):\d\d$/.exec(value)?.[1] ?? 0)
  return ms >= TIME_MS_MIN && ms <= TIME_MS_MAX && offsetHours <= OFFSET_HOURS_MAX
}
