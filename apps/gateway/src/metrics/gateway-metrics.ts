import type { EngineReport } from '@muster/engine'
import { createMetrics, type MetricName, type Metrics, type MetricsOptions } from '@muster/runtime'

/** What a gateway shows. */
export const GATEWAY_METRICS = [
  'commands_total',
  'command_accept_seconds',
  'http_requests_total',
  'http_request_seconds',
  'stream_clients',
  'queue_depth',
  'queue_due_later',
  'queue_oldest_age_seconds',
  'slots',
  'nodes',
  'gate_warm',
  'gate_breaker_open',
  'postgres_up',
  'tick_age_seconds',
  'duty_age_seconds',
] as const satisfies readonly MetricName[]

export const createGatewayMetrics = (options?: MetricsOptions): Metrics => createMetrics(GATEWAY_METRICS, options)

/** Counts what the engine does in a gateway. */
export const gatewayReport = (metrics: Metrics): Partial<EngineReport> => ({
  accepted({ outcome, seconds, ...tenant }) {
    metrics.count('commands_total', { outcome }, 1, tenant)
    if (outcome === 'accepted' || outcome === 'deduplicated') metrics.observe('command_accept_seconds', {}, seconds)
  },
})
