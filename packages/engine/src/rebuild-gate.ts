import { GateUnavailable } from '@muster/gate'
import { configurationSince, heldRuns, poolCapacities, raiseEpoch } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { offerBacklog } from './offer-backlog.ts'

/**
 * Gives a cold gate what Postgres holds: raises the epoch, reads configuration and held runs, loads them as started slots, then offers the
 * queued runs in pages. A load without an answer is never repeated: the next rebuild begins with a new epoch.
 * `later`: the epoch was raised within the last 3 s. `onLoaded`: the gate is good from here on, though its backlog may take long.
 */
export async function rebuildGate(
  context: EngineContext,
  onLoaded: () => void = () => undefined,
): Promise<'loaded' | 'refused' | 'unavailable' | 'later'> {
  const { pool } = context.database
  const epoch = await raiseEpoch(pool)
  if (epoch === null) return 'later'
  const { entries } = await configurationSince(pool, null)
  const capacities = await poolCapacities(pool)
  const held = await heldRuns(pool)
  const holdings = held.map(({ runId, admission, nodeId, offer }) => ({ ...offer, runId, admission, nodeId }))
  try {
    if ((await context.gate.load({ epoch, config: entries, holdings, capacities })) === 'refused') return 'refused'
  } catch (error) {
    if (!(error instanceof GateUnavailable)) throw error
    // it may be loaded all the same, and nobody would take it for cold again
    await offerBacklog(context, epoch)
    return 'unavailable'
  }
  onLoaded()
  context.log.info({ epoch, held: held.length, configured: entries.length }, 'the gate was rebuilt')
  await offerBacklog(context, epoch)
  return 'loaded'
}
