import { z } from 'zod'
import { runIdSchema } from './ids.ts'
import { timestampSchema } from './text.ts'

/** What an attempt printed, or logged as `agent`: one `agent.log` event, which may hold several lines of text. */
export const logLineSchema = z.object({
  run_id: runIdSchema,
  attempt: z.int().nullable(),
  seq: z.int().positive(),
  at: timestampSchema,
  stream: z.string(),
  text: z.string(),
})
export type LogLine = z.infer<typeof logLineSchema>
