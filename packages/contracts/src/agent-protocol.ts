import { z } from 'zod'
import type { AttachmentInfo } from './attachment.ts'
import { failureSchema } from './error-codes.ts'
import { type JsonObject, type JsonValue, jsonValueSchema } from './json.ts'

export const AGENT_PROTOCOL_VERSION = 1

/** What the worker writes to an agent's stdin, one JSON object a line. */
export type ToAgent =
  | {
      type: 'start'
      version: 1
      run: { id: string; generation: number; timeout_ms: number }
      task: { id: string; type: string; label: string | null; metadata: JsonObject }
      session: { id: string; key: string } | null
      attempt: number
      agent: { id: string; key: string; version: number; config: JsonObject }
      message: string
      /** Files in the folder that `MUSTER_ATTACHMENTS_FOLDER` names. */
      attachments: readonly AttachmentInfo[]
      extra_system_prompt: string | null
      routing: JsonObject | null
      provenance: JsonObject | null
      state: JsonValue | null
    }
  | { type: 'input'; id: string; mode: string; message: string }
  | { type: 'decision'; ask_id: string; decision: 'allow' | 'deny'; note: string | null }
  | { type: 'snapshot_saved'; seq: number }
  | { type: 'cancel'; reason: string; grace_ms: number }

/** Of one report, far above what any model uses at once: sums of the whole fleet must still move after the largest. */
const TOKENS_MAX = 1e12
const COST_USD_MAX = 1e6

export const usageReportSchema = z.object({
  provider: z.string().max(255).optional(),
  model: z.string().max(255).optional(),
  input_tokens: z.int().min(0).max(TOKENS_MAX).optional(),
  output_tokens: z.int().min(0).max(TOKENS_MAX).optional(),
  cost_usd: z.number().min(0).max(COST_USD_MAX).optional(),
})
export type UsageReport = z.infer<typeof usageReportSchema>

/** What an agent writes to its stdout, one JSON object a line; any other line is a log line. Unknown fields are ignored. */
export const fromAgentSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('message'), text: z.string() }),
  z.object({ type: z.literal('delta'), text: z.string() }),
  z.object({ type: z.literal('log'), text: z.string() }),
  z.object({
    type: z.literal('progress'),
    percent: z.number().min(0).max(100).optional(),
    text: z.string().optional(),
  }),
  z.object({ type: z.literal('tool_call'), id: z.string(), name: z.string(), input: jsonValueSchema.optional() }),
  z.object({
    type: z.literal('tool_result'),
    id: z.string(),
    output: jsonValueSchema.optional(),
    error: z.string().optional(),
  }),
  usageReportSchema.extend({ type: z.literal('usage') }),
  z.object({ type: z.literal('snapshot'), state: jsonValueSchema }),
  z.object({
    type: z.literal('ask'),
    id: z.string(),
    kind: z.enum(['approval', 'input', 'exec']),
    prompt: z.string(),
    payload: jsonValueSchema.optional(),
  }),
  z.object({ type: z.literal('input_consumed'), id: z.string() }),
  z.object({ type: z.literal('result'), output: jsonValueSchema }),
  failureSchema.partial({ retryable: true }).extend({ type: z.literal('error') }),
])
export type FromAgent = z.infer<typeof fromAgentSchema>
