import { POOLS } from '@muster/contracts'
import type { EngineContext } from '@muster/engine'
import type { Metrics } from '@muster/runtime'
import { fleetPulse, oldestQueued } from '@muster/store'

const FRESH_MS = 1000
const STATUSES = ['active', 'draining'] as const

/** Measures the whole fleet at each scrape, from Postgres and the gate, at most once a second. What cannot be known now is not shown. */
export function watchFleet(metrics: Metrics, { database, gate }: EngineContext, readers: () => number): void {
  let measuredAt = Number.NEGATIVE_INFINITY
  let underway: Promise<void> | null = null

  metrics.onScrape(async () => {
    metrics.set('stream_clients', {}, readers())
    for (const [connection, state] of Object.entries(gate.breakers()))
      metrics.set('gate_breaker_open', { connection }, state === 'open' ? 1 : 0)
    if (performance.now() - measuredAt < FRESH_MS) return
    underway ??= measure().finally(() => {
      measuredAt = performance.now()
      underway = null
    })
    await underway
  })

  async function measure(): Promise<void> {
    const [pulse, oldest, state, counts, demand] = await Promise.allSettled([
      fleetPulse(database.pool),
      oldestQueued(database.pool),
      gate.state(),
      gate.counts(),
      gate.demand(),
    ])
    metrics.set('postgres_up', {}, pulse.status === 'fulfilled' ? 1 : 0)
    if (pulse.status === 'fulfilled') {
      metrics.set('tick_age_seconds', {}, pulse.value.tickAgeSeconds ?? Number.POSITIVE_INFINITY)
      for (const [duty, age] of Object.entries(pulse.value.dutyAgeSeconds))
        metrics.set('duty_age_seconds', { duty }, age)
      for (const status of STATUSES) metrics.set('nodes', { status }, pulse.value.nodes[status] ?? 0)
    } else {
      metrics.forget('tick_age_seconds')
      metrics.forget('duty_age_seconds')
      metrics.forget('nodes')
    }
    if (oldest.status === 'fulfilled') {
      const ages = new Map(oldest.value.map(({ pool, ageSeconds }) => [pool, ageSeconds]))
      for (const pool of POOLS) metrics.set('queue_oldest_age_seconds', { pool }, ages.get(pool) ?? 0)
    } else metrics.forget('queue_oldest_age_seconds')
    const warm =
      state.status === 'fulfilled' &&
      state.value.warm &&
      (pulse.status === 'rejected' || pulse.value.epoch === state.value.epoch)
    metrics.set('gate_warm', {}, warm ? 1 : 0)
    if (counts.status === 'fulfilled' && counts.value.kind === 'warm') {
      for (const pool of POOLS) {
        const { queued, due, used, capacity } = counts.value.pools[pool]
        metrics.set('queue_depth', { pool }, queued)
        metrics.set('queue_due_later', { pool }, due)
        metrics.set('slots', { pool, state: 'used' }, used)
        metrics.set('slots', { pool, state: 'limit' }, capacity)
      }
    } else for (const name of ['queue_depth', 'queue_due_later', 'slots'] as const) metrics.forget(name)
    if (demand.status === 'fulfilled' && demand.value.kind === 'warm')
      for (const pool of POOLS) metrics.set('queue_startable', { pool }, demand.value.startable[pool])
    else metrics.forget('queue_startable')
  }
}
