import type { RunEvent } from '@muster/contracts'
import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

/** Shows numbered events to live readers; never rejects. What is lost, as when Redis is away, readers find in Postgres within a second. */
export async function publishEvents(context: EngineContext, events: readonly RunEvent[]): Promise<void> {
  if (events.length === 0) return
  try {
    await withGate(() => context.gate.live.publish(events))
  } catch (error) {
    context.log.warn({ err: error }, 'events were not shown live')
  }
}
