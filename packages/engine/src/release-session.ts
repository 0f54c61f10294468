import { releaseSession as releaseInStore } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { offerRuns } from './offer-runs.ts'
import { publishEvents } from './publish-events.ts'
import { withGate } from './with-gate.ts'

/** Ends the session's current run `cancelled` with code `session_released`, whatever its state, and lets the next one start. */
export async function releaseSession(context: EngineContext, sessionId: string, reason: string): Promise<void> {
  const { moved, events, offers } = await releaseInStore(context.database.pool, sessionId, reason)
  for (const { runId } of moved) {
    await withGate(() => context.gate.withdraw([runId]))
    await withGate(() => context.gate.cancelWake(runId))
  }
  await offerRuns(context, offers)
  await publishEvents(context, events)
}
