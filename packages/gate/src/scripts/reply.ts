import { poolSchema } from '@muster/contracts'
import { z } from 'zod'
import { GateFault } from '../gate-fault.ts'
import type { Admitted, Cold } from '../gate-reply.ts'

const coldSchema = z.tuple([z.literal('cold')]).rest(z.unknown())
const warmSchema = z.tuple([z.literal('warm')]).rest(z.unknown())
const admitSchema = z.tuple([
  z.literal('warm'),
  z.literal([0, 1]),
  z.array(z.string()),
  z.array(z.union([z.string(), z.int()])),
])

/** The lists of strings that a script answers. */
export const texts = z.array(z.string())
/** A whole number that a script answers as text; '' stands for none. */
export const wholeOrNull = z
  .string()
  .regex(/^\d*$/)
  .transform((text) => (text === '' ? null : Number(text)))
export const whole = z.string().regex(/^\d+$/).transform(Number)
export const textOrNull = z.string().transform((text) => (text === '' ? null : text))

/** The value by the schema; `GateFault` when the script answered anything else. */
export const parseReply = <S extends z.ZodType>(schema: S, value: unknown): z.output<S> => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new GateFault(`unexpected reply: ${z.prettifyError(parsed.error)}`)
}

/** A flat list as rows of `size`. */
export const rows = (flat: readonly string[], size: number): string[][] =>
  Array.from({ length: flat.length / size }, (_, row) => flat.slice(row * size, (row + 1) * size))

/** What follows 'warm' in the reply of a script that asks, or cold. */
export const readAnswer = (reply: unknown): Cold | { readonly kind: 'warm'; readonly rest: readonly unknown[] } => {
  if (coldSchema.safeParse(reply).success) return { kind: 'cold' }
  const [, ...rest] = parseReply(warmSchema, reply)
  return { kind: 'warm', rest }
}

export type AdmitReply =
  | Cold
  | {
      readonly kind: 'warm'
      readonly more: boolean
      readonly admitted: readonly Admitted[]
      /** Those that the script started on the node that asked for them. */
      readonly kept: readonly Admitted[]
      readonly result: readonly (string | number)[]
    }

const admissionRow = z
  .tuple([z.string(), whole, poolSchema, z.enum(['reserved', 'started'])])
  .transform(([runId, admission, pool, state]) => ({ state, slot: { runId, admission, pool } }))

/** The reply of a script that admits. */
export const readAdmitReply = (reply: unknown): AdmitReply => {
  if (coldSchema.safeParse(reply).success) return { kind: 'cold' }
  const [, cut, flat, result] = parseReply(admitSchema, reply)
  const given = rows(flat, 4).map((row) => parseReply(admissionRow, row))
  const of = (state: 'reserved' | 'started'): readonly Admitted[] =>
    given.filter((each) => each.state === state).map((each) => each.slot)
  return { kind: 'warm', more: cut === 1, admitted: of('reserved'), kept: of('started'), result }
}
