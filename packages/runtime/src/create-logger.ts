import { type DestinationStream, type Logger, pino } from 'pino'
import { logOutput } from './log-output.ts'

export type { Logger }

export type LoggerOptions = {
  /** `gateway`, `worker` or `cli`: on every line. */
  readonly app: string
  readonly level?: string
  /** Further fields of every line, such as `node_id`. */
  readonly fields?: Readonly<Record<string, string | number>>
  /** Where lines go; standard output unless told. */
  readonly destination?: DestinationStream
}

const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'api_key',
  'apiKey',
  'admin_token',
  'adminToken',
]

/**
 * A logger that writes one JSON object a line: `time`, `level`, `app`, `msg` and fields such as `request_id`, `run_id`, `node_id` (give
 * these to `logger.child`). Keys, tokens and passwords do not reach the log: neither in fields named so nor within any text.
 */
export function createLogger({ app, level = 'info', fields = {}, destination }: LoggerOptions): Logger {
  const paths = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`])
  const options = {
    level,
    base: { app, ...fields },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: (error: unknown) => errorFacts(error, CAUSES_MAX) },
    redact: { paths, censor: '[redacted]' },
    hooks: { streamWrite: withoutSecrets },
  }
  return pino(options, destination ?? logOutput())
}

type ErrorFacts = { type: string; message: string; code?: string; stack?: string; cause?: ErrorFacts }

/** More than anybody wraps; an error that is its own cause ends here too. */
const CAUSES_MAX = 8

/** What says what went wrong. An error of a library may carry its whole connection: that is no business of the log's. */
function errorFacts(error: unknown, causesLeft: number): ErrorFacts {
  if (!(error instanceof Error)) return { type: typeof error, message: textOf(error) }
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || causesLeft === 0 ? {} : { cause: errorFacts(error.cause, causesLeft - 1) }),
  }
}

/** Any value can be thrown, one without a way to become text too. */
function textOf(thrown: unknown): string {
  return typeof thrown === 'object' ? Object.prototype.toString.call(thrown) : String(thrown)
}

/** Our own keys are recognised by their form, passwords by their place in a URL (in one that is quoted within a line too), other tokens by the scheme before them. */
function withoutSecrets(line: string): string {
  return line
    .replaceAll(/mst_[A-Za-z0-9_-]{8,}/g, 'mst_[redacted]')
    .replaceAll(/(\w:\/\/[^\s:/@"]*:)(?:[^\s/"\\]|\\.)+@/g, '$1[redacted]@')
    .replaceAll(/([?&](?:ssl)?password=)[^\s&"\\]+/gi, '$1[redacted]')
    .replaceAll(/\b(Bearer|Basic) +[\w+/=.~-]{8,}/g, '$1 [redacted]')
}
