import { createLogger } from '../create-logger.ts'
import { type PacedWarn, paceWarnings } from '../pace-warnings.ts'
import { formatTraceparent, parseTraceparent } from './traceparent.ts'

export type SpanAttributes = Readonly<Record<string, string | number>>

export type Span = {
  /** What to hand on, so that what follows belongs to this span; without tracing, the parent's own. */
  readonly traceparent: string | null
  set(attributes: SpanAttributes): void
  end(outcome: 'ok' | 'error'): void
}

export type SpanOptions = {
  readonly kind: 'server' | 'consumer' | 'internal'
  /** A `traceparent` from wherever the work came; what is no such thing is ignored. */
  readonly parent: string | null
  readonly attributes: SpanAttributes
}

/** Spans of one process. */
export type Tracing = {
  begin(name: string, options: SpanOptions): Span
  /** Sends what is left, within a bound. */
  close(): Promise<void>
}

/** No spans; what came with the work is handed on all the same. */
export const NO_TRACING: Tracing = {
  begin(_name, { parent }) {
    const context = parseTraceparent(parent)
    return { traceparent: context === null ? null : formatTraceparent(context), set() {}, end() {} }
  },
  async close() {},
}

export type TracingOptions = {
  /** The base address of an OTLP/HTTP receiver; null: no tracing, and no tracing library is loaded. */
  readonly endpoint: string | null
  readonly service: string
  /** Told when spans are not taken; a log of its own unless given. */
  readonly warn?: PacedWarn
}

/** Opens the way of spans to a receiver. One that does not answer costs nothing but its spans, and is told of. */
export async function startTracing({ endpoint, service, warn }: TracingOptions): Promise<Tracing> {
  if (endpoint === null) return NO_TRACING
  const { openOtlpTracing } = await import('./otlp-tracing.ts')
  return openOtlpTracing(endpoint, service, warn ?? ownWarn(service))
}

const ownWarn = (service: string): PacedWarn =>
  paceWarnings(createLogger({ app: service.replace('muster-', ''), fields: { pid: process.pid } }))
