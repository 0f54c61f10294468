import { eventTypeSchema, keptObjectSchema, type RunEvent, runIdSchema, runStatusSchema } from '@muster/contracts'
import { z } from 'zod'
import { offerSchema } from './offer.ts'

/** An event as a statement answers it, made the event that clients see. */
const storedEventSchema = z
  .object({
    run_id: runIdSchema,
    seq: z.int(),
    attempt: z.int().nullable(),
    type: eventTypeSchema,
    at: z.coerce.date(),
    data: keptObjectSchema,
  })
  .transform((row): RunEvent => ({ ...row, at: row.at.toISOString() }))

/** What a statement that moves runs answers: the runs that moved, the events of it, and what the gate is to be offered next. */
export const movesSchema = z.object({
  moved: z.array(
    z
      .object({ run_id: runIdSchema, status: runStatusSchema, generation: z.int(), admission: z.int() })
      .transform(({ run_id, ...rest }) => ({ runId: run_id, ...rest })),
  ),
  events: z.array(storedEventSchema),
  offers: z.array(offerSchema),
})
export type Moves = z.infer<typeof movesSchema>
