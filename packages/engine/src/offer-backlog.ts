import { BACKLOG_HEAD, type BacklogPlace, backlogPage, offersOf } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { offerRuns } from './offer-runs.ts'
import { pause } from './pause.ts'
import { withGate } from './with-gate.ts'

const PAGE = 1000
const ASK_AGAIN_MS = 250

/**
 * Offers every queued run that may be offered and that the gate of this epoch does not know, page by page. While that gate is away or slow
 * a page is tried again; one that is cold or of another epoch is left alone: whoever rebuilds it offers anew.
 */
export async function offerBacklog(context: EngineContext, epoch: number): Promise<void> {
  const { pool } = context.database
  let after: BacklogPlace = BACKLOG_HEAD
  for (;;) {
    const page = await backlogPage(pool, after, PAGE)
    const offerable = page.filter((row) => row.offerable).map((row) => row.id)
    if (offerable.length > 0 && !(await offerPage(context, epoch, offerable))) return
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return
    after = last
  }
}

/** False when the gate is no longer the one that is to be filled. */
async function offerPage(context: EngineContext, epoch: number, runIds: readonly string[]): Promise<boolean> {
  for (;;) {
    const unknown = await withGate(() => context.gate.unknown(runIds))
    const isAsked = unknown !== null && unknown.kind === 'warm'
    if (isAsked && (await offerRuns(context, await offersOf(context.database.pool, unknown.runIds)))) return true
    const state = await withGate(() => context.gate.state())
    if (state !== null && !(state.warm && state.epoch === epoch)) return false
    await pause(ASK_AGAIN_MS)
  }
}
