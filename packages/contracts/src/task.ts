import { z } from 'zod'
import { failureSchema } from './error-codes.ts'
import { agentIdSchema, runIdSchema, sessionIdSchema, taskIdSchema, workspaceIdSchema } from './ids.ts'
import { jsonObjectSchema, jsonValueSchema } from './json.ts'
import { taskStatusSchema } from './statuses.ts'
import { timestampSchema } from './text.ts'

export const taskSchema = z.object({
  id: taskIdSchema,
  workspace_id: workspaceIdSchema,
  agent_id: agentIdSchema,
  agent_key: z.string(),
  type: z.string(),
  status: taskStatusSchema,
  run_id: runIdSchema,
  session_id: sessionIdSchema.nullable(),
  label: z.string().nullable(),
  priority: z.int(),
  metadata: jsonObjectSchema,
  created_at: timestampSchema,
  updated_at: timestampSchema,
  archived_at: timestampSchema.nullable(),
  output: jsonValueSchema.nullable(),
  failure: failureSchema.nullable(),
})
export type Task = z.infer<typeof taskSchema>
