import { cancelRun as cancelInStore } from '@muster/store'
import { afterCommit } from './after-commit.ts'
import type { EngineContext } from './engine-context.ts'
import { offerRuns } from './offer-runs.ts'
import { publishEvents } from './publish-events.ts'
import { tellGate } from './tell-gate.ts'
import { withGate } from './with-gate.ts'

/**
 * Cancels a run: `cancelled`, it was queued and has ended; `requested`, its worker is told; `ended`, it was over and is unchanged.
 * What follows in the gate may be lost: the reconciler makes up for it. Throws `run_not_found`.
 */
export async function cancelRun(
  context: EngineContext,
  runId: string,
  cause: { readonly code: 'cancelled'; readonly reason: string },
): Promise<'cancelled' | 'requested' | 'ended'> {
  const { outcome, offers, events } = await cancelInStore(context.database.pool, runId, cause.code, cause.reason)
  await afterCommit(context, async () => {
    if (outcome === 'cancelled') {
      await tellGate(() => context.gate.withdraw([runId]))
      await offerRuns(context, offers)
    } else if (outcome === 'requested') await withGate(() => context.gate.cancelWake(runId))
  })
  await publishEvents(context, events)
  return outcome
}
