/**
 * SQLSTATE classes and codes that mean: the server, the connection or a lock was the trouble, not the statement. 25006: a server that only
 * reads, as one does before it takes over.
 */
const PASSING = /^(08|53|57P|25006|25P03|40001|40P01|55P03|57014)/
const NODE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
])
const MESSAGES =
  /connection terminated|timeout exceeded when trying to connect|query read timeout|client has encountered a connection error|connection ended|not queryable/i

/** Whether trying again later can help: Postgres is away, starting, stopping, or refused for want of room. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (PASSING.test(code) || NODE_CODES.has(code) || MESSAGES.test(error.message)) return true
  if (error instanceof AggregateError) return error.errors.some(isConnectionError)
  return error.cause !== undefined && isConnectionError(error.cause)
}
