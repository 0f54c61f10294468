import { GateUnavailable } from '@muster/gate'
import {
  BACKLOG_HEAD,
  type BacklogPlace,
  backlogPage,
  configurationSince,
  heldRuns,
  offersOf,
  poolCapacities,
  raiseEpoch,
} from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { offerRuns } from './offer-runs.ts'

const PAGE = 1000

/**
 * Gives a cold gate what Postgres holds: raises the epoch, reads configuration and held runs, loads them as started slots, then offers the
 * queued runs in pages. A load without an answer is never repeated: the next rebuild begins with a new epoch.
 * `later`: the epoch was raised within the last 3 s.
 */
export async function rebuildGate(context: EngineContext): Promise<'loaded' | 'refused' | 'unavailable' | 'later'> {
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
    if (error instanceof GateUnavailable) return 'unavailable'
    throw error
  }
  context.log.info({ epoch, held: held.length, configured: entries.length }, 'the gate was rebuilt')
  await offerBacklog(context)
  return 'loaded'
}

/** Offers every queued run that may be offered, page by page; stops when the gate no longer takes them. */
async function offerBacklog(context: EngineContext): Promise<void> {
  let after: BacklogPlace = BACKLOG_HEAD
  for (;;) {
    const page = await backlogPage(context.database.pool, after, PAGE)
    const offers = await offersOf(
      context.database.pool,
      page.filter((row) => row.offerable).map((row) => row.id),
    )
    if (!(await offerRuns(context, offers))) return
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = last
  }
}
