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
  text: 'SELECT * FROM accept_commands($1, $2, $3)',
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

/** `sent`: whether these very items may have been committed by an earlier call whose answer was lost. */
export type AcceptOptions = { readonly sent: 'first' | 'again' }

/** Commits a batch of commands, all or nothing; one verdict an item, in order. Sending the same ids again inserts nothing twice. */
export async function acceptCommands(
  on: Queryable,
  items: readonly AcceptItem[],
  { sent }: AcceptOptions = { sent: 'first' },
): Promise<readonly AcceptVerdict[]> {
  const templates = new Templates()
  const commands = items.map((item, ord) => ({ ord, template: templates.numberOf(item), ...given(item) }))
  const rows = await execute(on, STATEMENT, [
    JSON.stringify(templates.all),
    JSON.stringify(commands),
    sent === 'again' || items.some(isLookedUp),
  ])
  const verdicts = new Map(rows.map((row) => [row.ord, row]))
  return items.map((item, ord) => {
    const verdict = verdicts.get(ord)
    if (verdict === undefined) throw new Error(`command ${item.task_id} was not answered`)
    return verdict
  })
}

/** Names something that may be there already. */
const isLookedUp = (item: AcceptItem): boolean =>
  item.idempotency_key !== null || item.session_id !== null || item.session_key !== null

/** What the commands of one agent and class have in common, which a batch carries once. */
class Templates {
  readonly all: object[] = []
  readonly #likes = new Map<string, { readonly item: AcceptItem; readonly number: number }[]>()

  numberOf(item: AcceptItem): number {
    const likes = this.#likes.get(item.class_key) ?? []
    const like = likes.find((one) => isLike(one.item, item))
    if (like !== undefined) return like.number
    const number = this.all.push(templateOf(item, this.all.length)) - 1
    this.#likes.set(item.class_key, [...likes, { item, number }])
    return number
  }
}

/** Of one class key: workspace, agent, lane, pool and job name are the same then. */
const isLike = (one: AcceptItem, other: AcceptItem): boolean =>
  one.policy === other.policy &&
  one.agent_version === other.agent_version &&
  one.timeout_ms === other.timeout_ms &&
  one.max_attempts === other.max_attempts

const templateOf = (item: AcceptItem, template: number) => ({
  template,
  workspace_id: item.workspace_id,
  agent_id: item.agent_id,
  agent_key: item.agent_key,
  agent_version: item.agent_version,
  job_name: item.job_name,
  class_key: item.class_key,
  pool: item.pool,
  lane: item.lane,
  policy: item.policy,
  timeout_ms: item.timeout_ms,
  max_attempts: item.max_attempts,
})

/** The command's own, without what it does not have: the statement does work for what is there. */
const given = (item: AcceptItem) => ({
  task_id: item.task_id,
  run_id: item.run_id,
  type: item.type,
  priority: item.priority,
  message: item.message,
  metadata: item.metadata,
  session_id: item.session_id ?? undefined,
  session_key: item.session_key ?? undefined,
  new_session_id: item.new_session_id ?? undefined,
  label: item.label ?? undefined,
  idempotency_key: item.idempotency_key ?? undefined,
  fingerprint: item.fingerprint ?? undefined,
  extra_system_prompt: item.extra_system_prompt ?? undefined,
  not_before: item.not_before ?? undefined,
  delay_ms: item.delay_ms ?? undefined,
  expires_at: item.expires_at ?? undefined,
  ttl_ms: item.ttl_ms ?? undefined,
  traceparent: item.traceparent ?? undefined,
  attachments: item.attachments,
  attached: item.attached,
})
