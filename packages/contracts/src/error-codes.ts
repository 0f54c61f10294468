import { z } from 'zod'

type ErrorKind = { readonly status: number; readonly title: string; readonly retryable: boolean }

/** Every code that an answer of the API can carry, with its HTTP status. Codes are stable; a new one is not a breaking change. */
export const ERROR_CODES = {
  invalid_request: { status: 400, title: 'Invalid request', retryable: false },
  missing_api_key: { status: 401, title: 'Missing API key', retryable: true },
  invalid_api_key: { status: 401, title: 'Invalid API key', retryable: false },
  forbidden: { status: 403, title: 'Forbidden', retryable: false },
  route_not_found: { status: 404, title: 'No such route', retryable: false },
  workspace_not_found: { status: 404, title: 'Workspace not found', retryable: false },
  api_key_not_found: { status: 404, title: 'API key not found', retryable: false },
  agent_not_found: { status: 404, title: 'Agent not found', retryable: false },
  task_not_found: { status: 404, title: 'Task not found', retryable: false },
  run_not_found: { status: 404, title: 'Run not found', retryable: false },
  session_not_found: { status: 404, title: 'Session not found', retryable: false },
  class_not_found: { status: 404, title: 'Execution class not found', retryable: false },
  node_not_found: { status: 404, title: 'Node not found', retryable: false },
  wrong_method: { status: 405, title: 'Method not allowed', retryable: true },
  agent_inactive: { status: 409, title: 'Agent is inactive', retryable: false },
  agent_busy: { status: 409, title: 'Agent has unfinished runs', retryable: true },
  agent_exists: { status: 409, title: 'Agent key is taken', retryable: false },
  workspace_exists: { status: 409, title: 'Workspace key is taken', retryable: false },
  session_mismatch: { status: 409, title: 'Session belongs to another agent', retryable: false },
  idempotency_conflict: { status: 409, title: 'Idempotency key was used with another body', retryable: false },
  invalid_transition: { status: 409, title: 'Not possible in this state', retryable: false },
  payload_too_large: { status: 413, title: 'Payload too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'Unsupported media type', retryable: false },
  policy_unsupported: { status: 422, title: 'Policy cannot be enforced by this fleet', retryable: false },
  queue_full: { status: 429, title: 'Queue is full', retryable: true },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true },
  internal_error: { status: 500, title: 'Internal error', retryable: true },
  unavailable: { status: 503, title: 'Temporarily unavailable', retryable: true },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERROR_CODES

export const errorCodeSchema = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]])

/** Why a run ended without success. */
export const FAILURE_CODES = [
  'agent_error',
  'agent_exit',
  'agent_asked',
  'invalid_result',
  'timed_out',
  'cancelled',
  'session_released',
  'expired',
  'worker_lost',
  'sandbox_unavailable',
  'bundle_unavailable',
  'output_limit_exceeded',
  'memory_limit_exceeded',
  'disk_limit_exceeded',
  'internal_error',
] as const
export const failureSchema = z.object({
  code: z.string(),
  message: z.string(),
  retryable: z.boolean(),
})
export type Failure = z.infer<typeof failureSchema>
