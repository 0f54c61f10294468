import type { RunEvent } from '@muster/contracts'
import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

/** Shows numbered events to live readers and wakes them. Lost when Redis is away: readers look into Postgres each second. */
export async function publishEvents(context: EngineContext, events: readonly RunEvent[]): Promise<void> {
  const byRun = Map.groupBy(events, (event) => event.run_id)
  await Promise.all(Array.from(byRun, ([runId, own]) => withGate(() => context.gate.live.publish(runId, own))))
}
