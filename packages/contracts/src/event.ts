import { z } from 'zod'
import { runIdSchema } from './ids.ts'
import { keptObjectSchema } from './json.ts'
import { timestampSchema } from './text.ts'

const EVENT_TYPES = [
  'run.queued',
  'run.started',
  'run.waiting',
  'run.requeued',
  'run.cancel_requested',
  'run.finished',
  'agent.message',
  'agent.delta',
  'agent.log',
  'agent.progress',
  'agent.tool_call',
  'agent.tool_result',
  'agent.usage',
  'agent.snapshot',
  'agent.ask',
] as const
export const eventTypeSchema = z.enum(EVENT_TYPES)
export type EventType = z.infer<typeof eventTypeSchema>

/** One entry of a run's log. `seq` is 1, 2, 3 ... per run, without holes, and never changes. */
export const eventSchema = z.object({
  seq: z.int().positive(),
  run_id: runIdSchema,
  attempt: z.int().nullable(),
  type: eventTypeSchema,
  at: timestampSchema,
  data: keptObjectSchema,
})
export type RunEvent = z.infer<typeof eventSchema>
