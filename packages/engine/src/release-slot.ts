import type { Pool, RunJob } from '@muster/contracts'
import { Batcher } from '@muster/core'
import type { Admitted, GateKeep } from '@muster/gate'
import type { Offer } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { pause } from './pause.ts'
import { withGate } from './with-gate.ts'

/** The place that a run leaves: on which node, in which pool. */
export type FreedPlace = { readonly nodeId: string; readonly pool: Pool }

export type SlotRelease = {
  readonly runId: string
  readonly admission: number
  readonly offers: readonly Offer[]
  /** Where another run may go on at once; null: nowhere. */
  readonly place: FreedPlace | null
}

const BATCH_MAX = 64
const REPEAT_FOR_MS = 10_000
const REPEAT_MS = 100

/**
 * Frees the slots of runs that this worker no longer runs, offers what their sessions named, and lets the gate give what is free; what comes at
 * once goes in one call. Each is answered the run that its place was given to, started and to be claimed, or null. Repeated while the gate
 * is cold or away: a rebuild may have loaded the slot. Past ten seconds the reconciler is left to free it. Never rejects.
 */
export function createSlotReleaser(context: EngineContext): (release: SlotRelease) => Promise<RunJob | null> {
  const batcher = new Batcher<SlotRelease, RunJob | null>((releases) => releaseSlots(context, releases), {
    max: BATCH_MAX,
    lanes: 2,
  })
  return (release) => batcher.add(release)
}

async function releaseSlots(
  context: EngineContext,
  releases: readonly SlotRelease[],
): Promise<readonly (RunJob | null)[]> {
  const deadline = performance.now() + REPEAT_FOR_MS
  const offers = releases.flatMap((release) => release.offers)
  const places = releases.flatMap(({ place }) => (place === null ? [] : [place]))
  const keep = keepOf(places)
  const runs = { run_ids: releases.map((release) => release.runId) }
  const none = releases.map(() => null)
  for (;;) {
    try {
      const reply = await withGate(() => context.gate.release(releases, offers, keep))
      if (reply !== null && reply.kind === 'warm') return shareOut(releases, keep, reply.kept)
    } catch (error) {
      context.log.error({ err: error, ...runs }, 'the gate refused to free slots; the reconciler will')
      return none
    }
    if (performance.now() > deadline) {
      context.log.warn(runs, 'slots could not be released; the reconciler will')
      return none
    }
    await pause(REPEAT_MS)
  }
}

/** What one node would keep. A node that was registered anew meanwhile leaves places under two names: then the later name counts. */
function keepOf(places: readonly FreedPlace[]): GateKeep | null {
  const nodeId = places.at(-1)?.nodeId
  if (nodeId === undefined) return null
  const slots: Partial<Record<Pool, number>> = {}
  for (const place of places) if (place.nodeId === nodeId) slots[place.pool] = (slots[place.pool] ?? 0) + 1
  return { nodeId, slots }
}

/** Each place its run, as far as there are any. */
function shareOut(
  releases: readonly SlotRelease[],
  keep: GateKeep | null,
  kept: readonly Admitted[],
): readonly (RunJob | null)[] {
  const left = new Map(Map.groupBy(kept, (each) => each.pool))
  return releases.map(({ place }) => {
    if (place === null || place.nodeId !== keep?.nodeId) return null
    const [next, ...rest] = left.get(place.pool) ?? []
    left.set(place.pool, rest)
    return next === undefined ? null : { run_id: next.runId, admission: next.admission }
  })
}
