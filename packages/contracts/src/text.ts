import { z } from 'zod'

const NOT_STORABLE = 'contains NUL or a lone surrogate, which cannot be stored'

/** Text that Postgres can hold: no NUL and no lone surrogate (broken UTF-16). Length counts code points, of up to four bytes each. */
export const text = (min: number, max: number) =>
  z.string().min(min).max(max).refine(isStorable, { error: NOT_STORABLE })

export function isStorable(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0')
}

const utf8 = new TextEncoder()

/** Whether a text is at most so long in UTF-8, which takes up to three bytes for a UTF-16 unit. */
export const fitsBytes = (value: string, bytesMax: number): boolean =>
  value.length * 3 <= bytesMax || utf8.encode(value).length <= bytesMax

/** What file systems take as the name of a file or folder; in bytes of UTF-8. */
export const NAME_BYTES_MAX = 255

export const SLUG_FAULT = 'must match [a-z0-9][a-z0-9._-]{0,63}'

/** A key of a workspace, agent or lane: lower case, safe in paths and URLs. */
export const slugSchema = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, SLUG_FAULT)

/** Text that a client chooses as a key: sessions, labels, idempotency keys. */
export const clientKeySchema = text(1, 255)

/** Latest time that Postgres and RFC 3339 both can write; the earliest is the year 1. */
const TIME_MS_MAX = Date.UTC(9999, 11, 31, 23, 59, 59, 999)
const TIME_MS_MIN = new Date(0).setUTCFullYear(1, 0, 1)
const OFFSET_HOURS_MAX = 15
/** As a client writes it; Postgres reads no time of much more than a hundred characters. */
const TIME_CHARS_MAX = 64

/** RFC 3339, of the years 1 to 9999, at an offset of less than 16 hours. */
export const timestampSchema = z.iso
  .datetime({ offset: true, abort: true })
  .max(TIME_CHARS_MAX)
  .refine(isStorableTime, { error: 'not a time of the years 1 to 9999, at an offset of less than 16 hours' })

function isStorableTime(value: string): boolean {
  const ms = Date.parse(value)
  const offsetHours = Number(/[+-](\d\d):\d\d$/.exec(value)?.[1] ?? 0)
  const isLate = ms > TIME_MS_MAX || (ms === TIME_MS_MAX && isRoundedUp(value))
  return ms >= TIME_MS_MIN && !isLate && offsetHours <= OFFSET_HOURS_MAX
}

/** Whether Postgres, which keeps microseconds and rounds what is finer, makes it the next second. */
const isRoundedUp = (time: string): boolean => Math.round(Number(/\.\d+/.exec(time)?.[0] ?? 0) * 1e6) >= 1e6
