import type { RouteName } from '@muster/contracts'
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
  'queue_startable',
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

/** What becomes of commands as a rule, and what somebody should hear of. */
const OUTCOMES = ['accepted', 'deduplicated', 'queue_full', 'internal_error', 'unavailable'] as const
/** The routes that take commands, and what they answer when all is well, and when it is not. */
const TAKES_COMMANDS = ['postCommand', 'postBatch'] as const satisfies readonly RouteName[]
const ANSWERS = ['200', '202', '500', '503'] as const

export function createGatewayMetrics(options?: MetricsOptions): Metrics {
  const metrics = createMetrics(GATEWAY_METRICS, options)
  metrics.showZeros(
    'commands_total',
    OUTCOMES.map((outcome) => ({ outcome })),
  )
  metrics.showZeros(
    'http_requests_total',
    TAKES_COMMANDS.flatMap((route) => ANSWERS.map((status) => ({ route, status }))),
  )
  return metrics
}

/** Counts what the engine does in a gateway. */
export const gatewayReport = (metrics: Metrics): Partial<EngineReport> => ({
  accepted({ outcome, seconds, ...tenant }) {
    metrics.count('commands_total', { outcome }, 1, tenant)
    if (outcome === 'accepted' || outcome === 'deduplicated') metrics.observe('command_accept_seconds', {}, seconds)
  },
})
