import { Batcher } from '@muster/core'
import type { Offer } from '@muster/store'
import { admit } from './admit.ts'
import type { EngineContext } from './engine-context.ts'
import { pause } from './pause.ts'

export type SlotRelease = { readonly runId: string; readonly admission: number; readonly offers: readonly Offer[] }

const BATCH_MAX = 64
const REPEAT_FOR_MS = 10_000
const REPEAT_MS = 100

/**
 * Frees the slots of runs that this worker no longer runs, offers what their sessions named, and sends off what the gate admits; what comes
 * at once goes in one call. Repeated while the gate is cold or away: a rebuild may have loaded the slot. Past ten seconds the reconciler is
 * left to free it. Never rejects.
 */
export function createSlotReleaser(context: EngineContext): (release: SlotRelease) => Promise<void> {
  const batcher = new Batcher<SlotRelease, true>(
    async (releases) => {
      await releaseSlots(context, releases)
      return releases.map(() => true as const)
    },
    { max: BATCH_MAX, lanes: 2 },
  )
  return async (release) => {
    await batcher.add(release)
  }
}

async function releaseSlots(context: EngineContext, releases: readonly SlotRelease[]): Promise<void> {
  const deadline = performance.now() + REPEAT_FOR_MS
  const offers = releases.flatMap((release) => release.offers)
  const runs = { run_ids: releases.map((release) => release.runId) }
  for (;;) {
    try {
      if (await admit(context, () => context.gate.release(releases, offers))) return
    } catch (error) {
      context.log.error({ err: error, ...runs }, 'the gate refused to free slots; the reconciler will')
      return
    }
    if (performance.now() > deadline) {
      context.log.warn(runs, 'slots could not be released; the reconciler will')
      return
    }
    await pause(REPEAT_MS)
  }
}
