import { POOLS, type Pool, type PoolScale, type Scale } from '@muster/contracts'
import { AppError, desiredWorkers } from '@muster/core'
import { oldestQueued, poolWorkers } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

/**
 * What every pool has to do, and how many workers could share it. Runs that a worker would not help count for nothing: behind their
 * session, not due, held back by a limit or a pause, or finishing on a worker that drains. Throws `unavailable` while the gate cannot
 * tell: an autoscaler then leaves things as they are.
 */
export async function fleetScale(context: EngineContext): Promise<Scale> {
  const { pool: on } = context.database
  const [counts, demand, workers, oldest] = await Promise.all([
    withGate(() => context.gate.counts()),
    withGate(() => context.gate.demand()),
    poolWorkers(on),
    oldestQueued(on),
  ])
  if (counts?.kind !== 'warm' || demand?.kind !== 'warm')
    throw new AppError('unavailable', 'what waits for workers is not known now', { retryAfterMs: 1000 })
  const ages = new Map(oldest.map((each) => [each.pool, each.ageSeconds]))
  const scaleOf = (pool: Pool): PoolScale => {
    const found = workers.find((each) => each.pool === pool)
    const { queued, used } = counts.pools[pool]
    const startable = demand.startable[pool]
    return {
      queued,
      startable,
      running: used,
      oldest_age_seconds: Math.max(0, Math.round((ages.get(pool) ?? 0) * 1000) / 1000),
      slots: found?.slots ?? 0,
      workers: found?.workers ?? 0,
      desired_workers: desiredWorkers(used - (found?.leaving ?? 0) + startable, found?.slotsPerWorker ?? null),
    }
  }
  return { pools: Object.fromEntries(POOLS.map((pool) => [pool, scaleOf(pool)])) }
}
