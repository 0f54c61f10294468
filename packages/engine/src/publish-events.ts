import type { RunEvent } from '@muster/contracts'
import { Batcher } from '@muster/core'
import type { EngineContext } from './engine-context.ts'
import { LastingTrouble } from './lasting-trouble.ts'
import { perGate } from './per-gate.ts'
import { withGate } from './with-gate.ts'

const BATCH_MAX = 64

/**
 * Shows numbered events to live readers, in the order of the calls; never rejects. What is lost, as when Redis is away, readers find in
 * Postgres within a second.
 */
export async function publishEvents(context: EngineContext, events: readonly RunEvent[]): Promise<void> {
  if (events.length === 0) return
  const trouble = troubleOf(context.gate)
  try {
    await withGate(() => publisherOf(context.gate).add(events))
    trouble.isOver()
  } catch (error) {
    trouble.came(() => context.log.warn({ err: error }, 'events were not shown live'))
  }
}

const troubleOf = perGate(() => new LastingTrouble())

/** While one call is on its way the next events wait for each other. */
const publisherOf = perGate(
  (gate) =>
    new Batcher<readonly RunEvent[], 'shown'>(
      async (batch) => {
        await gate.live.publish(batch.flat())
        return batch.map(() => 'shown')
      },
      { max: BATCH_MAX },
    ),
)
