import { ERROR_CODES, type ErrorCode, type Fault } from '@muster/contracts'

export type ErrorDetails = {
  /** Where the request is at fault. */
  readonly faults?: readonly Fault[]
  readonly retryAfterMs?: number
  /** What the limit allows that was met. */
  readonly limit?: number
  readonly cause?: unknown
}

/** The one error that is thrown on purpose. `message` is for the client: it never carries a secret. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly faults: readonly Fault[]
  readonly retryAfterMs: number | null
  readonly limit: number | null

  constructor(code: ErrorCode, message?: string, details: ErrorDetails = {}) {
    super(message ?? ERROR_CODES[code].title, details.cause === undefined ? {} : { cause: details.cause })
    this.code = code
    this.faults = details.faults ?? []
    this.retryAfterMs = details.retryAfterMs ?? null
    this.limit = details.limit ?? null
  }
}
