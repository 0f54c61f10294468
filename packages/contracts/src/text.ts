import { z } from 'zod'

const NOT_STORABLE = 'contains NUL or a lone surrogate, which cannot be stored'

/** Text that Postgres can hold: no NUL and no lone surrogate (broken UTF-16). Length counts UTF-16 units. */
export const text = (min: number, max: number) => z.string().min(min).max(max).refine(isStorable, { error: NOT_STORABLE })

export function isStorable(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0')
}

/** A key of a workspace, agent or lane: lower case, safe in paths and URLs. */
export const slugSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must match [a-z0-9][a-z0-9._-]{0,63}')

/** Text that a client chooses as a key: sessions, labels, idempotency keys. */
export const clientKeySchema = text(1, 255)

export const timestampSchema = z.iso.datetime({ offset: true })
