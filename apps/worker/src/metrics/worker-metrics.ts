import type { NodePools } from '@muster/contracts'
import type { AttemptOutcome } from '@muster/core'
import { DUTIES, type EngineReport, type RecoveryCause } from '@muster/engine'
import { createMetrics, type MetricName, type Metrics, type MetricsOptions } from '@muster/runtime'
import type { Execution } from '../execute-run.ts'

/** What a worker shows. */
export const WORKER_METRICS = [
  'duties_total',
  'duty_seconds',
  'gate_rebuilds_total',
  'gate_breaker_open',
  'worker_slots',
  'runs_active',
  'schedule_to_start_seconds',
  'run_duration_seconds',
  'runs_total',
  'slot_leaks_total',
  'slot_restores_total',
  'run_recoveries_total',
  'recovery_seconds',
  'sandbox_start_seconds',
  'tokens_total',
  'cost_usd_total',
  'events_total',
] as const satisfies readonly MetricName[]

const CAUSES = ['lost', 'handed_back', 'offer_lost'] as const satisfies readonly RecoveryCause[]
const REBUILDS = ['loaded', 'refused', 'unavailable'] as const
const ENDS = [
  'succeeded',
  'failed',
  'timed_out',
  'cancelled',
  'handed_back',
  'lost',
] as const satisfies readonly AttemptOutcome['kind'][]

export function createWorkerMetrics(options?: MetricsOptions): Metrics {
  const metrics = createMetrics(WORKER_METRICS, options)
  metrics.showZeros(
    'run_recoveries_total',
    CAUSES.map((cause) => ({ cause })),
  )
  metrics.showZeros(
    'gate_rebuilds_total',
    REBUILDS.map((outcome) => ({ outcome })),
  )
  metrics.showZeros(
    'duties_total',
    DUTIES.flatMap((duty) => (['done', 'failed'] as const).map((outcome) => ({ duty, outcome }))),
  )
  return metrics
}

/** Counts what the engine does in a worker. */
export const workerReport = (metrics: Metrics): Partial<EngineReport> => ({
  claimed({ started_at, ready_at, lost_at, previous, policy }) {
    const since = (then: Date): number => (started_at.getTime() - then.getTime()) / 1000
    metrics.observe('schedule_to_start_seconds', { pool: policy.runtime_type }, since(ready_at))
    if (lost_at !== null && previous?.status === 'lost') metrics.observe('recovery_seconds', {}, since(lost_at))
  },
  recovered: (cause, runs) => metrics.count('run_recoveries_total', { cause }, runs),
  leaked: (slots) => metrics.count('slot_leaks_total', {}, slots),
  restored: (slots) => metrics.count('slot_restores_total', {}, slots),
  wrote: (events) => metrics.count('events_total', {}, events),
  duty({ name, outcome, seconds }) {
    metrics.count('duties_total', { duty: name, outcome })
    metrics.observe('duty_seconds', { duty: name }, seconds)
  },
  rebuilt: (outcome) => metrics.count('gate_rebuilds_total', { outcome }),
})

/** Measures at each scrape what this worker has in hand. */
export function watchWorker(
  metrics: Metrics,
  parts: {
    readonly pools: NodePools
    readonly executions: () => readonly Execution[]
    readonly breakers: () => Readonly<Record<string, 'closed' | 'open'>>
  },
): void {
  metrics.showZeros(
    'runs_total',
    Object.keys(parts.pools).flatMap((pool) => ENDS.map((status) => ({ pool, status }))),
  )
  metrics.onScrape(async () => {
    const active = Map.groupBy(parts.executions(), (execution) => execution.run.policy.runtime_type as string)
    for (const [pool, slots] of Object.entries(parts.pools)) {
      const used = active.get(pool)?.length ?? 0
      metrics.set('runs_active', { pool }, used)
      metrics.set('worker_slots', { pool, state: 'used' }, used)
      metrics.set('worker_slots', { pool, state: 'limit' }, slots)
    }
    for (const [connection, state] of Object.entries(parts.breakers()))
      metrics.set('gate_breaker_open', { connection }, state === 'open' ? 1 : 0)
  })
}
