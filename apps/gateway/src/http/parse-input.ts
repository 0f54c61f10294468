import { AppError } from '@muster/core'
import type { z } from 'zod'
import { faultsOf } from './faults-of.ts'

/** Parses one part of a request, or what lies at a place in it; throws `invalid_request` with each fault and its place. */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  place: 'body' | 'query',
  at: readonly PropertyKey[] = [],
): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const faults = faultsOf(
    parsed.error.issues.map((issue) => ({ ...issue, path: [...at, ...issue.path] })),
    place,
  )
  const first = faults[0]
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''
  const where = first?.pointer === '' ? 'the body' : first?.pointer
  throw new AppError('invalid_request', first === undefined ? undefined : `${where}: ${first.detail}${more}`, {
    faults,
  })
}
