import type { AgentContract, ErrorCode, NextAction, TaskStatus } from '@muster/contracts'
import { ERROR_CODES } from '@muster/contracts'

/** What a client can do next with a task in this status. */
export function contractForTask(task: { id: string; status: TaskStatus; run_id: string }): AgentContract {
  const check = action('check_task_status', 'GET', `/v1/tasks/${task.id}`)
  const create = action('create_task', 'POST', '/v1/commands')
  switch (task.status) {
    case 'completed':
    case 'cancelled':
      return contract(false, [create])
    case 'dead_letter':
      return contract(false, [action('requeue_task', 'POST', `/v1/tasks/${task.id}/requeue`)])
    default:
      return contract(false, [
        check,
        action('stream_events', 'GET', `/v1/runs/${task.run_id}/events`),
        action('cancel_task', 'POST', `/v1/tasks/${task.id}/cancel`),
      ])
  }
}

/** What a client can do next on an answer that is about no single task. */
export const contractForList = (): AgentContract =>
  contract(false, [action('create_task', 'POST', '/v1/commands'), action('list_tasks', 'GET', '/v1/tasks')])

/** What a client can do next after an error. `retryAfterMs`: how long to wait, where the error says; `taskId`: of the task that was asked for. */
export function contractForError(code: ErrorCode, retryAfterMs: number | null, taskId?: string): AgentContract {
  const seconds = Math.max(1, Math.ceil((retryAfterMs ?? DEFAULT_WAIT_MS[code] ?? 5000) / 1000))
  const wait: Partial<NextAction> = { retry_after_seconds: seconds }
  switch (code) {
    case 'missing_api_key':
    case 'invalid_api_key':
    case 'forbidden':
    case 'wrong_method':
      return contract(ERROR_CODES[code].retryable, [action('authenticate')])
    case 'invalid_request':
    case 'policy_unsupported':
    case 'payload_too_large':
    case 'unsupported_media_type':
    case 'route_not_found':
    case 'workspace_not_found':
    case 'workspace_exists':
      return contract(false, [action('fix_request')])
    case 'agent_not_found':
    case 'agent_inactive':
    case 'agent_exists':
      return contract(false, [action('list_agents', 'GET', '/v1/agents')])
    case 'idempotency_conflict':
      return contract(false, [
        action('create_task', 'POST', '/v1/commands', { description: 'use another idempotency key' }),
      ])
    case 'invalid_transition':
      return contract(false, [
        taskId === undefined
          ? action('list_tasks', 'GET', '/v1/tasks')
          : action('check_task_status', 'GET', `/v1/tasks/${taskId}`),
      ])
    case 'internal_error':
    case 'unavailable':
    case 'rate_limited':
    case 'queue_full':
    case 'agent_busy':
      return contract(true, [action('retry_after_wait', undefined, undefined, wait)])
    default:
      return contract(false, [action('list_tasks', 'GET', '/v1/tasks')])
  }
}

const DEFAULT_WAIT_MS: Partial<Record<ErrorCode, number>> = {
  rate_limited: 60_000,
  queue_full: 30_000,
  unavailable: 2000,
}

/** The first action is the recommended one. */
function contract(retryable: boolean, actions: readonly NextAction[]): AgentContract {
  return {
    version: '1',
    retryable,
    next_actions: actions.map((next, index) => ({ ...next, recommended: index === 0 })),
  }
}

function action(
  name: NextAction['action'],
  method?: string,
  endpoint?: string,
  more: Partial<NextAction> = {},
): NextAction {
  return {
    action: name,
    available: true,
    recommended: false,
    ...(method === undefined ? {} : { method }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...more,
  }
}
