import { hash } from 'node:crypto'
import { type Attachment, type Command, DEFAULT_LANE, DEFAULT_TIMEOUT_MS, PRIORITY_NAMES } from '@muster/contracts'
import { AppError, aboveCeilings, type Ceilings, newId, unsupportedPolicy } from '@muster/core'
import type { AcceptItem } from '@muster/store'
import type { FleetHolds } from './fleet-holds.ts'
import { classKeyIn, policyTermsOf } from './policy-terms.ts'
import type { ResolvedAgent } from './resolve-agent.ts'

export type WorkspaceRef = { readonly id: string; readonly key: string }

const DEFAULT_TYPE = 'command'

/** `refusal`: why nothing new may be accepted so, `policy_unsupported` with the fields; a repeat of what was accepted before may. */
export type PreparedCommand = { readonly item: AcceptItem; readonly refusal: AppError | null }

/** What the nodes can hold, and what the operator lets a run have. */
export type PolicyBounds = { readonly holds: FleetHolds; readonly ceilings: Ceilings | undefined }

/** Fills in defaults and makes ids. */
export async function prepareCommand(
  workspace: WorkspaceRef,
  agent: ResolvedAgent,
  command: Command,
  idempotencyKey: string | null,
  { holds, ceilings = {} }: PolicyBounds,
): Promise<PreparedCommand> {
  const terms = policyTermsOf(agent, command.policy)
  const { policy } = terms
  const held = isEmpty(policy.named_resources) ? null : await holds.for(policy)
  const faults = [...unsupportedPolicy(policy, terms.named, held), ...aboveCeilings(policy.resources, ceilings)]
  const refusal =
    faults.length === 0
      ? null
      : new AppError('policy_unsupported', faults.map((fault) => fault.detail).join('; '), { faults })
  const lane = command.lane ?? DEFAULT_LANE
  const item: AcceptItem = {
    task_id: newId('task'),
    run_id: newId('run'),
    workspace_id: workspace.id,
    agent_id: agent.id,
    agent_key: agent.key,
    agent_version: agent.version,
    job_name: `${workspace.key}/${agent.key}/${lane}`,
    class_key: classKeyIn(terms, { workspaceId: workspace.id, agentId: agent.id, lane }),
    pool: policy.runtime_type,
    lane,
    session_id: command.session_id ?? null,
    session_key: command.session_key ?? null,
    new_session_id: command.session_key === undefined ? null : newId('session'),
    type: command.type ?? DEFAULT_TYPE,
    label: command.label ?? null,
    priority: priorityOf(command),
    metadata: command.metadata ?? {},
    idempotency_key: idempotencyKey,
    fingerprint: idempotencyKey === null ? null : fingerprintOf(command, agent.id),
    ...attachmentsOf(command),
    message: command.message,
    extra_system_prompt: command.extra_system_prompt ?? null,
    policy,
    timeout_ms: command.timeout_ms ?? agent.config.timeout_ms ?? DEFAULT_TIMEOUT_MS,
    max_attempts: policy.retry.max_attempts,
    not_before: command.not_before ?? null,
    delay_ms: command.delay_ms ?? null,
    expires_at: command.expires_at ?? null,
    ttl_ms: command.ttl_ms ?? null,
  }
  return { item, refusal }
}

/** Nothing where nothing is attached, so that a plain command carries nothing more. */
function attachmentsOf({ attachments }: Command): Pick<AcceptItem, 'attachments' | 'attached'> {
  if (attachments === undefined || attachments.length === 0) return {}
  const typed = attachments.map(withMediaType)
  const attached = typed.map(({ name, media_type, text, base64 }) => ({
    name,
    media_type,
    bytes: base64 === undefined ? Buffer.byteLength(text ?? '') : Buffer.byteLength(base64, 'base64'),
  }))
  return { attachments: typed, attached }
}

const withMediaType = (attachment: Attachment) => ({
  ...attachment,
  media_type: attachment.media_type ?? (attachment.base64 === undefined ? 'text/plain' : 'application/octet-stream'),
})

function priorityOf(command: Command): number {
  const priority = command.priority ?? PRIORITY_NAMES.normal
  return typeof priority === 'number' ? priority : PRIORITY_NAMES[priority]
}

/** Hex SHA-256 of the body in a normal form: sorted keys, the agent by its id, without the idempotency key and what says no more than leaving it out. */
function fingerprintOf(command: Command, agentId: string): string {
  const { idempotency_key: _, lane, type, delay_ms, policy, metadata, attachments, ...rest } = command
  const body = {
    ...rest,
    agent: agentId,
    priority: priorityOf(command),
    lane: lane ?? DEFAULT_LANE,
    type: type ?? DEFAULT_TYPE,
    ...(delay_ms === undefined || delay_ms === 0 ? {} : { delay_ms }),
    ...(isEmpty(policy) ? {} : { policy }),
    ...(isEmpty(metadata) ? {} : { metadata }),
    ...(isEmpty(attachments) ? {} : { attachments: attachments?.map(withMediaType) }),
  }
  return hash('sha256', canonical(body), 'hex')
}

const isEmpty = (value: object | undefined): boolean => value === undefined || Object.keys(value).length === 0

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, field]) => field !== undefined)
    entries.sort(([one], [other]) => (one < other ? -1 : 1))
    return `{${entries.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(',')}}`
  }
  return JSON.stringify(value)
}
