import type { Offer } from '@muster/store'
import { admit } from './admit.ts'
import type { EngineContext } from './engine-context.ts'
import { pause } from './pause.ts'

export type SlotRelease = { readonly runId: string; readonly admission: number; readonly offers: readonly Offer[] }

const REPEAT_FOR_MS = 10_000
const REPEAT_MS = 100

/**
 * Frees the slot of a run that this worker no longer runs, offers what its session named, and sends off what the gate admits. Repeated
 * while the gate is cold or away: a rebuild may have loaded the slot. Past ten seconds the reconciler is left to free it. Never rejects.
 */
export async function releaseSlot(context: EngineContext, release: SlotRelease): Promise<void> {
  const deadline = performance.now() + REPEAT_FOR_MS
  for (;;) {
    try {
      if (await admit(context, () => context.gate.release([release], release.offers))) return
    } catch (error) {
      context.log.error({ err: error, run_id: release.runId }, 'the gate refused to free a slot; the reconciler will')
      return
    }
    if (performance.now() > deadline) {
      context.log.warn({ run_id: release.runId }, 'the slot could not be released; the reconciler will')
      return
    }
    await pause(REPEAT_MS)
  }
}
