import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace'
import type { PacedWarn } from '../pace-warnings.ts'
import type { Tracing } from './start-tracing.ts'
import { formatTraceparent, parseTraceparent } from './traceparent.ts'

const KINDS = { server: SpanKind.SERVER, consumer: SpanKind.CONSUMER, internal: SpanKind.INTERNAL } as const
const CLOSE_MS = 3000
/** What OpenTelemetry calls success; the package that names it is no dependency of ours. */
const SENT = 0

/** Spans by OpenTelemetry, sent in batches as OTLP/HTTP; its sampler honours the parent's choice. */
export function openOtlpTracing(endpoint: string, service: string, warn: PacedWarn): Tracing {
  const exporter = tellingExporter(new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` }), warn)
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.instance.id': `${process.pid}` }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000 })],
  })
  const tracer = provider.getTracer('muster')
  return {
    begin(name, { kind, parent, attributes }) {
      const from = parseTraceparent(parent)
      const context =
        from === null
          ? ROOT_CONTEXT
          : trace.setSpanContext(ROOT_CONTEXT, {
              traceId: from.traceId,
              spanId: from.spanId,
              traceFlags: from.flags,
              isRemote: true,
            })
      const span = tracer.startSpan(name, { kind: KINDS[kind], attributes }, context)
      const { traceId, spanId, traceFlags } = span.spanContext()
      return {
        traceparent: formatTraceparent({ traceId, spanId, flags: traceFlags }),
        set: (more) => void span.setAttributes(more),
        end(outcome) {
          span.setStatus({ code: outcome === 'ok' ? SpanStatusCode.OK : SpanStatusCode.ERROR })
          span.end()
        },
      }
    },
    async close() {
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, CLOSE_MS)
      await Promise.race([provider.shutdown().catch(() => undefined), late.promise])
      clearTimeout(timer)
    },
  }
}

/** The exporter, with what it could not send told: the library keeps that to itself. */
const tellingExporter = (exporter: SpanExporter, warn: PacedWarn): SpanExporter => ({
  export(spans, done) {
    exporter.export(spans, (result) => {
      if (result.code !== SENT) warn(result.error, {}, 'spans were not taken by the collector')
      done(result)
    })
  },
  forceFlush: async () => exporter.forceFlush?.(),
  shutdown: () => exporter.shutdown(),
})
