import type { Attachment, AttachmentInfo, JsonObject, Policy, Pool } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

/** A command made ready for the batch: validated, its agent and class resolved, its ids made. */
export type AcceptItem = {
  readonly task_id: string
  readonly run_id: string
  readonly workspace_id: string
  readonly agent_id: string
  readonly agent_key: string
  readonly agent_version: number
  readonly job_name: string
  readonly class_key: string
  readonly pool: Pool
  readonly lane: string
  readonly session_id: string | null
  readonly session_key: string | null
  readonly new_session_id: string | null
  readonly type: string
  readonly label: string | null
  readonly priority: number
  readonly metadata: JsonObject
  readonly idempotency_key: string | null
  /** Hex SHA-256 of the normalized body; null without an idempotency key. */
  readonly fingerprint: string | null
  readonly message: string
  readonly extra_system_prompt: string | null
  readonly policy: Policy
  readonly timeout_ms: number
  readonly max_attempts: number
  readonly not_before: string | null
  readonly delay_ms: number | null
  readonly expires_at: string | null
  readonly ttl_ms: number | null
  /** The W3C trace context that its spans belong to. */
  readonly traceparent?: string | null
  /** The files that came with it, and what is told of them. */
  readonly attachments?: readonly Attachment[]
  readonly attached?: readonly AttachmentInfo[]
}

const STATEMENT = {
  name: 'accept_commands',
  text: 'SELECT * FROM accept_commands($1)',
  row: z.object({
    ord: z.int(),
    outcome: z.enum([
      'accepted',
      'repeated',
      'deduplicated',
      'conflict',
      'agent_not_found',
      'agent_inactive',
      'agent_stale',
      'session_not_found',
      'session_mismatch',
    ]),
    task_id: z.string(),
    run_id: z.string(),
    session_id: z.string().nullable(),
    session_key: z.string().nullable(),
    run_order: z.int().nullable(),
    offerable: z.boolean(),
    not_before: z.date().nullable(),
    expires_at: z.date().nullable(),
    accepted_at: z.date(),
  }),
}
export type AcceptVerdict = z.infer<typeof STATEMENT.row>

/** Commits a batch of commands, all or nothing; one verdict an item, in order. Sending the same ids again inserts nothing twice. */
export async function acceptCommands(on: Queryable, items: readonly AcceptItem[]): Promise<readonly AcceptVerdict[]> {
  return execute(on, STATEMENT, [JSON.stringify(items.map((item, ord) => ({ ...given(item), ord })))])
}

/** Only what has a value: the statement does work for what is there. */
function given(item: AcceptItem): Partial<AcceptItem> {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => value !== null))
}
