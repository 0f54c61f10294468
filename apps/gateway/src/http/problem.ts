import { ERROR_CODES, type Problem } from '@muster/contracts'
import { AppError, contractForError } from '@muster/core'

/**
 * Translates whatever was thrown into RFC 9457 `application/problem+json`: an error that is not ours tells nothing of itself.
 * `taskId`: of the task that the request was about.
 */
export function problemOf(error: unknown, requestId: string, taskId?: string): Problem {
  const known =
    error instanceof AppError ? error : new AppError('internal_error', 'the request failed here; its id is in the log')
  const { status, title, retryable } = ERROR_CODES[known.code]
  const contract = contractForError(known.code, known.retryAfterMs, taskId)
  const waitSeconds = status === 429 || status === 503 ? contract.next_actions[0]?.retry_after_seconds : undefined
  const retryAfterMs = known.retryAfterMs ?? (waitSeconds === undefined ? null : waitSeconds * 1000)
  return {
    type: `/problems/${known.code}`,
    title,
    status,
    detail: known.message,
    code: known.code,
    request_id: requestId,
    retryable,
    ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }),
    ...(known.limit === null ? {} : { limit: known.limit }),
    ...(known.faults.length === 0 ? {} : { errors: [...known.faults] }),
    agent_contract: contract,
  }
}

/** The headers that go with a problem. */
export function problemHeaders(problem: Problem): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' }
  if (problem.retry_after_ms !== undefined && (problem.status === 429 || problem.status === 503))
    headers['retry-after'] = String(Math.max(1, Math.ceil(problem.retry_after_ms / 1000)))
  if (problem.limit !== undefined) {
    headers['ratelimit-limit'] = String(problem.limit)
    headers['ratelimit-remaining'] = '0'
    headers['ratelimit-reset'] = headers['retry-after'] ?? '1'
  }
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer'
  return headers
}
