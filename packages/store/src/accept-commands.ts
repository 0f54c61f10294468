import type { Attachment, AttachmentInfo, JsonObject, Policy, Pool } from '@muster/contracts'
import { z } from 'zod'
import { executeOne, type Queryable } from './statement.ts'
import { textArray } from './text-array.ts'

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

const OUTCOMES = [
  'accepted',
  'repeated',
  'deduplicated',
  'conflict',
  'agent_not_found',
  'agent_inactive',
  'agent_stale',
  'session_not_found',
  'session_mismatch',
] as const

const STATEMENT = {
  name: 'accept_commands',
  text: 'SELECT * FROM accept_commands($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
  row: z.object({
    accepted_at: z.date(),
    orders: z.array(z.coerce.number().int()),
    /** What became of the commands of which there is more to tell. */
    odd: z
      .array(
        z.object({
          /** Its place in the batch, from 1. */
          n: z.int(),
          outcome: z.enum(OUTCOMES),
          task_id: z.string(),
          run_id: z.string(),
          session_id: z.string().nullable(),
          session_key: z.string().nullable(),
          offerable: z.boolean(),
          not_before: z.coerce.date().nullable(),
          expires_at: z.coerce.date().nullable(),
        }),
      )
      .nullable(),
  }),
}

export type AcceptVerdict = {
  readonly outcome: (typeof OUTCOMES)[number]
  /** Of the task and run that were there already, unless it was accepted. */
  readonly task_id: string
  readonly run_id: string
  readonly session_id: string | null
  readonly session_key: string | null
  /** Null unless it was accepted by this call. */
  readonly run_order: number | null
  readonly offerable: boolean
  readonly not_before: Date | null
  readonly expires_at: Date | null
  readonly accepted_at: Date
}

/** `sent`: whether these very items may have been committed by an earlier call whose answer was lost. */
export type AcceptOptions = { readonly sent: 'first' | 'again' }

/** Commits a batch of commands, all or nothing; one verdict an item, in order. Sending the same ids again inserts nothing twice. */
export async function acceptCommands(
  on: Queryable,
  items: readonly AcceptItem[],
  { sent }: AcceptOptions = { sent: 'first' },
): Promise<readonly AcceptVerdict[]> {
  const templates = new Templates()
  const likes = items.map((item) => templates.numberOf(item))
  const more = items.map(moreOf)
  const row = await executeOne(on, STATEMENT, [
    `{${templates.rows.join(',')}}`,
    textArray(templates.policies),
    textArray([...templates.agents.keys()]),
    `{${[...templates.agents.values()].join(',')}}`,
    `{${likes.join(',')}}`,
    textArray(items.map((item) => item.task_id)),
    textArray(items.map((item) => item.run_id)),
    textArray(items.map((item) => item.message)),
    textArray(more.some((one) => one !== null) ? more : []),
    sent === 'again' ? 'all' : items.some(isLookedUp) ? 'some' : 'none',
  ])
  const odd = new Map(row.odd?.map(({ n, ...verdict }) => [n, verdict]))
  return items.map((item, index) => {
    const accepted_at = row.accepted_at
    const verdict = odd.get(index + 1)
    const run_order = verdict === undefined || verdict.outcome === 'accepted' ? (row.orders[index] ?? null) : null
    return { ...plainly(item), ...verdict, run_order, accepted_at }
  })
}

/** The verdict on a command of which there is nothing more to tell. */
const plainly = (item: AcceptItem) => ({
  outcome: 'accepted' as const,
  task_id: item.task_id,
  run_id: item.run_id,
  session_id: null,
  session_key: null,
  offerable: true,
  not_before: null,
  expires_at: null,
})

/** Names something that may be there already. */
const isLookedUp = (item: AcceptItem): boolean =>
  item.idempotency_key !== null || item.session_id !== null || item.session_key !== null

/** What the commands of one agent and class have in common, which a batch carries once; a policy that several share, too. */
class Templates {
  readonly rows: string[] = []
  /** The version of each agent; of one that comes in two the older is out of date, and so all are judged one by one. */
  readonly agents = new Map<string, number>()
  readonly #likes = new Map<string, { readonly item: AcceptItem; readonly number: number }[]>()
  readonly #policies = new Map<string, number>()

  get policies(): readonly string[] {
    return [...this.#policies.keys()]
  }

  /** From 1. */
  numberOf(item: AcceptItem): number {
    const likes = this.#likes.get(item.class_key) ?? []
    const like = likes.find((one) => isLike(one.item, item))
    if (like !== undefined) return like.number
    const number = this.rows.push(textArray([...templateOf(item), String(this.#policyOf(item))]))
    this.agents.set(item.agent_id, Math.min(item.agent_version, this.agents.get(item.agent_id) ?? item.agent_version))
    this.#likes.set(item.class_key, [...likes, { item, number }])
    return number
  }

  #policyOf({ policy }: AcceptItem): number {
    const text = POLICY_TEXTS.get(policy) ?? JSON.stringify(policy)
    POLICY_TEXTS.set(policy, text)
    const number = this.#policies.get(text) ?? this.#policies.size + 1
    this.#policies.set(text, number)
    return number
  }
}

/** Commands of one agent and lane share their policy, and nobody changes it. */
const POLICY_TEXTS = new WeakMap<Policy, string>()

/** Of one class key: workspace, agent, lane, pool and job name are the same then. */
const isLike = (one: AcceptItem, other: AcceptItem): boolean =>
  one.policy === other.policy &&
  one.agent_version === other.agent_version &&
  one.timeout_ms === other.timeout_ms &&
  one.max_attempts === other.max_attempts &&
  one.type === other.type &&
  one.priority === other.priority

const templateOf = (item: AcceptItem): string[] => [
  item.workspace_id,
  item.agent_id,
  item.agent_key,
  String(item.agent_version),
  item.job_name,
  item.class_key,
  item.pool,
  item.lane,
  String(item.timeout_ms),
  String(item.max_attempts),
  item.type,
  String(item.priority),
]

/** What a command has beyond its columns, as JSON without what it does not have; null for nothing. */
function moreOf(item: AcceptItem): string | null {
  const more = JSON.stringify({
    label: item.label ?? undefined,
    metadata: isEmpty(item.metadata) ? undefined : item.metadata,
    session_id: item.session_id ?? undefined,
    session_key: item.session_key ?? undefined,
    new_session_id: item.new_session_id ?? undefined,
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
  return more === '{}' ? null : more
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false
  return true
}
