import {
  BACKLOG_HEAD,
  type BacklogPlace,
  backlogPage,
  backlogSince,
  namedSince,
  offersOf,
  readEpoch,
} from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { offerRuns } from './offer-runs.ts'
import { pause } from './pause.ts'
import { withGate } from './with-gate.ts'

const PAGE = 1000
const ASK_AGAIN_MS = 250
/** Calls fail for a while before the gate is found to be away, and what they carried may have been committed some time before. */
const BEFORE_AWAY_MS = 10_000
/** While the gate is away for longer than this, more becomes due than the recent look finds. */
const AWAY_MS_MAX = 20_000

/**
 * Offers every queued run that may be offered and that the gate of this epoch does not know, page by page. While that gate is away or slow
 * a page is tried again; one that is cold or of another epoch is left alone: whoever rebuilds it offers anew.
 */
export async function offerBacklog(context: EngineContext, epoch: number): Promise<void> {
  await offerPages(context, epoch, backlogFrom(context, BACKLOG_HEAD))
}

/** The same with what became offerable in the last so many milliseconds only: by itself, or since its session named it. */
async function offerLast(context: EngineContext, epoch: number, ms: number): Promise<void> {
  const since = await backlogSince(context.database.pool, ms)
  for (const pages of [backlogFrom(context, since), namedFrom(context, since)]) {
    const offered = await offerPages(context, epoch, pages)
    if (offered > 0) context.report?.recovered?.('offer_lost', offered)
  }
}

/** Offers what a gate that is back did not hear while it was away, which it was from this time on (`performance.now()`). */
export type CatchUp = (awayFrom: number) => Promise<void>

/**
 * What was missed is offered first; after a longer absence the rest of the backlog is looked through, too. Either is done once at a time:
 * asked again meanwhile, it is done once more.
 */
export function createCatchUp(context: EngineContext): CatchUp {
  const { pool } = context.database
  const offerMissed = oneAtATime(async (awayFrom) => {
    await offerLast(context, await readEpoch(pool), performance.now() - awayFrom + BEFORE_AWAY_MS)
  })
  const offerRest = oneAtATime(async () => offerBacklog(context, await readEpoch(pool)))
  return async (awayFrom) => {
    const isLong = performance.now() - awayFrom > AWAY_MS_MAX
    await offerMissed(awayFrom)
    if (isLong) await offerRest(awayFrom)
  }
}

/** Work for all that was asked until it begins, which reaches back to the earliest time asked. */
function oneAtATime(work: CatchUp): CatchUp {
  let asked: number | null = null
  let underway: Promise<void> | null = null
  async function turn(): Promise<void> {
    while (asked !== null) {
      const from = asked
      asked = null
      await work(from)
    }
  }
  return (from) => {
    asked = Math.min(from, asked ?? from)
    underway ??= turn().finally(() => {
      underway = null
    })
    return underway
  }
}

type Row = { readonly runId: string | null; readonly offerable: boolean; readonly place: BacklogPlace }
type Pages = AsyncIterable<readonly Row[]>

const backlogFrom = ({ database }: EngineContext, from: BacklogPlace): Pages =>
  pagesFrom(from, async (after) => {
    const rows = await backlogPage(database.pool, after, PAGE)
    return rows.map(({ id, since, offerable }) => ({ runId: id, offerable, place: { since, id } }))
  })

const namedFrom = ({ database }: EngineContext, from: BacklogPlace): Pages =>
  pagesFrom(from, async (after) => {
    const rows = await namedSince(database.pool, after, PAGE)
    return rows.map(({ id, since, run_id, offerable }) => ({ runId: run_id, offerable, place: { since, id } }))
  })

async function* pagesFrom(from: BacklogPlace, read: (after: BacklogPlace) => Promise<readonly Row[]>): Pages {
  for (let after = from; ; ) {
    const rows = await read(after)
    yield rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return
    after = last.place
  }
}

/** Answers how many of the runs the gate did not know. Ends early when it is no longer the gate that is to be filled. */
async function offerPages(context: EngineContext, epoch: number, pages: Pages): Promise<number> {
  let offered = 0
  for await (const page of pages) {
    const offerable = page.flatMap((row) => (row.offerable && row.runId !== null ? [row.runId] : []))
    const taken = offerable.length === 0 ? 0 : await offerPage(context, epoch, offerable)
    if (taken === null) break
    offered += taken
  }
  return offered
}

/** Null when the gate is no longer the one that is to be filled. */
async function offerPage(context: EngineContext, epoch: number, runIds: readonly string[]): Promise<number | null> {
  for (;;) {
    const unknown = await withGate(() => context.gate.unknown(runIds))
    if (unknown !== null && unknown.kind === 'warm') {
      const offers = await offersOf(context.database.pool, unknown.runIds)
      if (await offerRuns(context, offers)) return offers.length
    }
    const state = await withGate(() => context.gate.state())
    if (state !== null && !(state.warm && state.epoch === epoch)) return null
    await pause(ASK_AGAIN_MS)
  }
}
