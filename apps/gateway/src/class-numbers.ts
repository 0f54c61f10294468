import type { ExecutionClass } from '@muster/contracts'
import { type ClassNumbers, classStats, type EngineContext } from '@muster/engine'
import { type ConfiguredClass, countClassRuns } from '@muster/store'

const IDLE: ClassNumbers = { running: 0, waiting: 0, oldestWaitingAt: null }

/** Adds what runs and waits in each class, as the gate tells; where it cannot, as Postgres counts. */
export async function withClassNumbers(
  engine: EngineContext,
  classes: readonly ConfiguredClass[],
): Promise<ExecutionClass[]> {
  if (classes.length === 0) return []
  const keys = classes.map((each) => each.key)
  const told = await classStats(engine, keys)
  const missing = keys.filter((key) => !told.has(key))
  const counted = missing.length === 0 ? [] : await countClassRuns(engine.database.pool, missing)
  const numbers = new Map<string, ClassNumbers>([...told, ...counted.map((each) => [each.classKey, each] as const)])
  return classes.map((each) => {
    const { running, waiting, oldestWaitingAt } = numbers.get(each.key) ?? IDLE
    return {
      ...each,
      running,
      waiting,
      oldest_waiting_at: oldestWaitingAt?.toISOString() ?? null,
      status: each.paused ? 'paused' : running > 0 ? 'active' : waiting > 0 ? 'waiting' : 'idle',
    }
  })
}
