import { z } from 'zod'
import { attachmentInfoSchema } from './attachment.ts'
import { failureSchema } from './error-codes.ts'
import { agentIdSchema, nodeIdSchema, runIdSchema, sessionIdSchema, snapshotIdSchema, taskIdSchema } from './ids.ts'
import { jsonObjectSchema, jsonValueSchema } from './json.ts'
import { policySchema, poolSchema } from './policy.ts'
import { attemptStatusSchema, runStatusSchema } from './statuses.ts'
import { timestampSchema } from './text.ts'

export const usageSchema = z.object({
  input_tokens: z.int(),
  output_tokens: z.int(),
  cost_usd: z.number(),
  by_model: z.array(
    z.object({
      provider: z.string().nullable(),
      model: z.string().nullable(),
      input_tokens: z.int(),
      output_tokens: z.int(),
      cost_usd: z.number(),
    }),
  ),
})
export type Usage = z.infer<typeof usageSchema>

export const runSchema = z.object({
  id: runIdSchema,
  task_id: taskIdSchema,
  session_id: sessionIdSchema.nullable(),
  agent_id: agentIdSchema,
  agent_key: z.string(),
  agent_version: z.int(),
  lane: z.string(),
  class_key: z.string(),
  pool: poolSchema,
  status: runStatusSchema,
  generation: z.int(),
  attempt_count: z.int(),
  max_attempts: z.int(),
  priority: z.int(),
  message: z.string(),
  attachments: z.array(attachmentInfoSchema),
  policy: policySchema,
  timeout_ms: z.int(),
  not_before: timestampSchema.nullable(),
  expires_at: timestampSchema.nullable(),
  queued_at: timestampSchema,
  started_at: timestampSchema.nullable(),
  ended_at: timestampSchema.nullable(),
  node_id: nodeIdSchema.nullable(),
  cancel_requested_at: timestampSchema.nullable(),
  output: jsonValueSchema.nullable(),
  output_truncated: z.boolean(),
  failure: failureSchema.nullable(),
  usage: usageSchema,
  label: z.string().nullable(),
  metadata: jsonObjectSchema,
})
export type Run = z.infer<typeof runSchema>

/** How each demand of the policy was held: `enforced`, or `not_enforced` for a default that this node cannot hold. */
export const attemptLimitsSchema = z.record(z.string(), z.enum(['enforced', 'not_enforced']))
export type AttemptLimits = z.infer<typeof attemptLimitsSchema>

export const attemptSchema = z.object({
  number: z.int().positive(),
  generation: z.int().positive(),
  node_id: nodeIdSchema,
  runtime: poolSchema,
  status: attemptStatusSchema,
  started_at: timestampSchema,
  ended_at: timestampSchema.nullable(),
  exit_code: z.int().nullable(),
  failure: failureSchema.nullable(),
  limits: attemptLimitsSchema,
})
export type Attempt = z.infer<typeof attemptSchema>

export const snapshotSchema = z.object({
  id: snapshotIdSchema,
  run_id: runIdSchema,
  attempt: z.int().nullable(),
  seq: z.int().positive(),
  status: runStatusSchema,
  state: jsonValueSchema.nullable(),
  at: timestampSchema,
})
export type Snapshot = z.infer<typeof snapshotSchema>
