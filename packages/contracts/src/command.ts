import { z } from 'zod'
import { attachmentsSchema } from './attachment.ts'
import { agentIdSchema, sessionIdSchema } from './ids.ts'
import { jsonObjectSchema } from './json.ts'
import { policyInputSchema } from './policy.ts'
import { clientKeySchema, slugSchema, text, timestampSchema } from './text.ts'

export const PRIORITY_NAMES = { low: 25, normal: 50, high: 75, urgent: 90, critical: 100 } as const

/** 0 to 100, higher first; the names stand for 25, 50, 75, 90 and 100. */
const prioritySchema = z.union([z.int().min(0).max(100), z.enum(['low', 'normal', 'high', 'urgent', 'critical'])])

/** Where a command goes that names no lane, and how long an attempt may take where nobody says. */
export const DEFAULT_LANE = 'main'
export const DEFAULT_TIMEOUT_MS = 600_000

const SPAN_MS_MAX = 366 * 86_400_000

export const commandSchema = z
  .strictObject({
    agent: z.union([agentIdSchema, slugSchema]),
    message: text(0, 524_288),
    type: slugSchema.optional(),
    session_id: sessionIdSchema.optional(),
    session_key: clientKeySchema.optional(),
    lane: slugSchema.optional(),
    policy: policyInputSchema.optional(),
    timeout_ms: z.int().min(1).max(86_400_000).optional(),
    idempotency_key: clientKeySchema.optional(),
    priority: prioritySchema.optional(),
    not_before: timestampSchema.optional(),
    delay_ms: z.int().min(0).max(SPAN_MS_MAX).optional(),
    expires_at: timestampSchema.optional(),
    ttl_ms: z.int().min(1).max(SPAN_MS_MAX).optional(),
    label: clientKeySchema.optional(),
    metadata: jsonObjectSchema.optional(),
    extra_system_prompt: text(0, 262_144).optional(),
    attachments: attachmentsSchema.optional(),
  })
  .superRefine((command, context) => {
    for (const [one, other] of [
      ['session_id', 'session_key'],
      ['not_before', 'delay_ms'],
      ['expires_at', 'ttl_ms'],
    ] as const) {
      if (command[one] !== undefined && command[other] !== undefined)
        context.addIssue({ code: 'custom', message: `send ${one} or ${other}, not both`, path: [other] })
    }
  })
  .meta({ id: 'Command' })
export type Command = z.infer<typeof commandSchema>

export const BATCH_COMMANDS_MAX = 500

/** Many commands, of which each is judged by itself: here only their number is. */
export const batchSchema = z.strictObject({
  commands: z
    .array(z.unknown().meta({ override: { $ref: '#/components/schemas/Command' } }))
    .min(1)
    .max(BATCH_COMMANDS_MAX),
})
