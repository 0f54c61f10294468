import type { RunEvent } from '@muster/contracts'
import { Batcher } from '@muster/core'
import type { Gate } from '@muster/gate'
import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

const BATCH_MAX = 64

/**
 * Shows numbered events to live readers, in the order of the calls; never rejects. What is lost, as when Redis is away, readers find in
 * Postgres within a second.
 */
export async function publishEvents(context: EngineContext, events: readonly RunEvent[]): Promise<void> {
  if (events.length === 0) return
  try {
    await withGate(() => publisherOf(context.gate).add(events))
  } catch (error) {
    context.log.warn({ err: error }, 'events were not shown live')
  }
}

/** One gathering of events for each gate of the process: while one call is on its way the next ones wait for each other. */
const publishers = new WeakMap<Gate, Batcher<readonly RunEvent[], 'shown'>>()

function publisherOf(gate: Gate): Batcher<readonly RunEvent[], 'shown'> {
  const known = publishers.get(gate)
  if (known !== undefined) return known
  const publisher = new Batcher<readonly RunEvent[], 'shown'>(
    async (batch) => {
      await gate.live.publish(batch.flat())
      return batch.map(() => 'shown')
    },
    { max: BATCH_MAX },
  )
  publishers.set(gate, publisher)
  return publisher
}
