import type { Run, Task } from '@muster/contracts'
import { NO_USAGE, taskStatusOf } from '@muster/core'
import type { AcceptItem, AcceptVerdict, Offer } from '@muster/store'

/** The task and its run as they stand right after their acceptance. */
export function acceptedView(item: AcceptItem, verdict: AcceptVerdict): { readonly task: Task; readonly run: Run } {
  const at = verdict.accepted_at.toISOString()
  return { task: acceptedTask(item, verdict, at), run: acceptedRun(item, verdict, at) }
}

function acceptedTask(item: AcceptItem, verdict: AcceptVerdict, at: string): Task {
  return {
    id: item.task_id,
    workspace_id: item.workspace_id,
    agent_id: item.agent_id,
    agent_key: item.agent_key,
    type: item.type,
    status: taskStatusOf({ status: 'queued', scheduled: isScheduled(verdict) }),
    run_id: item.run_id,
    session_id: verdict.session_id,
    label: item.label,
    priority: item.priority,
    metadata: item.metadata,
    created_at: at,
    updated_at: at,
    archived_at: null,
    output: null,
    failure: null,
  }
}

function acceptedRun(item: AcceptItem, verdict: AcceptVerdict, at: string): Run {
  return {
    id: item.run_id,
    task_id: item.task_id,
    session_id: verdict.session_id,
    agent_id: item.agent_id,
    agent_key: item.agent_key,
    agent_version: item.agent_version,
    lane: item.lane,
    class_key: item.class_key,
    pool: item.pool,
    status: 'queued',
    generation: 0,
    attempt_count: 0,
    max_attempts: item.max_attempts,
    priority: item.priority,
    message: item.message,
    attachments: [...(item.attached ?? [])],
    policy: item.policy,
    timeout_ms: item.timeout_ms,
    not_before: verdict.not_before?.toISOString() ?? null,
    expires_at: verdict.expires_at?.toISOString() ?? null,
    queued_at: at,
    started_at: null,
    ended_at: null,
    node_id: null,
    cancel_requested_at: null,
    output: null,
    output_truncated: false,
    failure: null,
    usage: NO_USAGE,
    label: item.label,
    metadata: item.metadata,
  }
}

/** What to offer the gate for a run that was just accepted; null while its session is busy or it is not in the order yet. */
export function acceptedOffer(item: AcceptItem, verdict: AcceptVerdict): Offer | null {
  if (!verdict.offerable || verdict.run_order === null) return null
  const dueMs = isScheduled(verdict) ? (verdict.not_before?.getTime() ?? null) : null
  if (dueMs !== null && dueMs - verdict.accepted_at.getTime() > HORIZON_MS) return null
  return {
    runId: item.run_id,
    workspaceId: item.workspace_id,
    agentId: item.agent_id,
    lane: item.lane,
    classKey: item.class_key,
    pool: item.pool,
    jobName: item.job_name,
    priority: item.priority,
    order: verdict.run_order,
    front: false,
    notBeforeMs: dueMs,
    queuedAtMs: verdict.accepted_at.getTime(),
  }
}

/** Runs due later than this wait in Postgres. */
const HORIZON_MS = 600_000

const isScheduled = (verdict: AcceptVerdict): boolean =>
  verdict.not_before !== null && verdict.not_before > verdict.accepted_at
