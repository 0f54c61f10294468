import type { RunEvent } from '@muster/contracts'
import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

/**
 * Shows numbered events to live readers and wakes them; never rejects. What is lost, as when Redis is away, readers find in Postgres
 * within a second.
 */
export async function publishEvents(context: EngineContext, events: readonly RunEvent[]): Promise<void> {
  const byRun = Map.groupBy(events, (event) => event.run_id)
  const published = await Promise.allSettled(
    Array.from(byRun, ([runId, own]) => withGate(() => context.gate.live.publish(runId, own))),
  )
  for (const each of published)
    if (each.status === 'rejected') context.log.warn({ err: each.reason }, 'events were not shown live')
}
