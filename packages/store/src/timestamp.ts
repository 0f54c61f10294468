import { z } from 'zod'

/** A time from Postgres as the API writes it: RFC 3339 in UTC, with milliseconds. */
export const timestamp = z.date().transform((date) => date.toISOString())
