import { z } from 'zod'
import { apiKeyIdSchema, newKeySchema, workspaceIdSchema } from './ids.ts'
import { clientKeySchema, slugSchema, timestampSchema } from './text.ts'

/** Runs at once; null: no limit. */
export const concurrencySchema = z.int().min(0).max(1_000_000).nullable()
/** Queued runs at most, scheduled and session-held ones included; past it commands are refused as `queue_full`. Null: no limit. */
export const waitingLimitSchema = z.int().min(0).max(1_000_000).nullable()
/** Share among siblings that have work. */
export const weightSchema = z.number().min(0.001).max(1000)

const workspaceLimitsSchema = z.strictObject({ concurrency: concurrencySchema, max_waiting: waitingLimitSchema })

export const workspaceSchema = z.object({
  id: workspaceIdSchema,
  key: slugSchema,
  name: z.string(),
  limits: workspaceLimitsSchema,
  weight: weightSchema,
  paused: z.boolean(),
  created_at: timestampSchema,
})
export type Workspace = z.infer<typeof workspaceSchema>

export const createWorkspaceSchema = z.strictObject({
  key: newKeySchema('workspace'),
  name: clientKeySchema.optional(),
  limits: workspaceLimitsSchema.partial().optional(),
  weight: weightSchema.optional(),
  paused: z.boolean().optional(),
})
export type CreateWorkspace = z.infer<typeof createWorkspaceSchema>

export const patchWorkspaceSchema = createWorkspaceSchema.omit({ key: true }).partial()
export type PatchWorkspace = z.infer<typeof patchWorkspaceSchema>

export const apiKeySchema = z.object({
  id: apiKeyIdSchema,
  workspace_id: workspaceIdSchema,
  name: z.string().nullable(),
  created_at: timestampSchema,
  revoked_at: timestampSchema.nullable(),
})
export type ApiKey = z.infer<typeof apiKeySchema>

export const createApiKeySchema = z.strictObject({ name: clientKeySchema.optional() })
