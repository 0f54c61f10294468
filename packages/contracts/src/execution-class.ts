import { z } from 'zod'
import { workspaceIdSchema } from './ids.ts'
import { policySchema } from './policy.ts'
import { timestampSchema } from './text.ts'
import { concurrencySchema, weightSchema } from './workspace.ts'

/** The policy fields that a class key covers: all that decide where and how a run may execute (`retry` does not). */
export const classPolicySchema = policySchema.omit({ retry: true, named_resources: true })
export type ClassPolicy = z.infer<typeof classPolicySchema>

export const classKeySchema = z.string().regex(/^cls_[0-9a-z]{32}$/, 'not a class key')

export const executionClassSchema = z.object({
  key: classKeySchema,
  workspace_id: workspaceIdSchema,
  agent_key: z.string(),
  lane: z.string(),
  policy: classPolicySchema,
  limit: concurrencySchema,
  weight: weightSchema,
  running: z.int(),
  waiting: z.int(),
  oldest_waiting_at: timestampSchema.nullable(),
  paused: z.boolean(),
  status: z.enum(['idle', 'active', 'waiting', 'paused']),
})
export type ExecutionClass = z.infer<typeof executionClassSchema>

export const patchClassSchema = z.strictObject({
  limit: concurrencySchema.optional(),
  weight: weightSchema.nullable().optional(),
  paused: z.boolean().nullable().optional(),
})
export type PatchClass = z.infer<typeof patchClassSchema>
