import { z } from 'zod'
import { agentIdSchema, runIdSchema, sessionIdSchema } from './ids.ts'
import { timestampSchema } from './text.ts'

export const sessionSchema = z.object({
  id: sessionIdSchema,
  key: z.string(),
  agent_id: agentIdSchema,
  agent_key: z.string(),
  current_run_id: runIdSchema.nullable(),
  waiting: z.int(),
  created_at: timestampSchema,
  last_active_at: timestampSchema,
})
export type Session = z.infer<typeof sessionSchema>
