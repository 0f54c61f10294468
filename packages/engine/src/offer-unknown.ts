import {
  BACKLOG_HEAD,
  type BacklogPlace,
  backlogPage,
  mendSessions,
  offersOf,
  recentlyOfferable,
  runStates,
} from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { offerRuns } from './offer-runs.ts'
import { tellGate } from './tell-gate.ts'
import { withGate } from './with-gate.ts'

const PAGE = 1000

export type Reoffering = {
  /** Offers what became offerable lately and the gate does not know. */
  offerRecent(): Promise<void>
  /** One page of the rest of the backlog, and one of what the gate still has of runs that are over. */
  stepBacklog(): Promise<void>
}

/** Finds runs that Postgres would let start and the gate has not heard of: their offer was lost. */
export function createReoffering(context: EngineContext): Reoffering {
  const { pool } = context.database
  let place: BacklogPlace = BACKLOG_HEAD
  let gateCursor = '0'

  async function offerUnknown(runIds: readonly string[]): Promise<void> {
    for (let start = 0; start < runIds.length; start += PAGE) {
      const answer = await withGate(() => context.gate.unknown(runIds.slice(start, start + PAGE)))
      if (answer === null || answer.kind === 'cold') return
      const offers = await offersOf(pool, answer.runIds)
      if (!(await offerRuns(context, offers))) return
      if (offers.length > 0) context.report?.recovered?.('offer_lost', offers.length)
    }
  }

  return {
    async offerRecent() {
      await offerUnknown(await recentlyOfferable(pool))
    },

    async stepBacklog() {
      const page = await backlogPage(pool, place, PAGE)
      place = (page.length < PAGE ? undefined : page.at(-1)) ?? BACKLOG_HEAD
      const stuck = page.filter((row) => row.stuck && row.session_id !== null).map((row) => row.session_id ?? '')
      if (stuck.length > 0) await offerRuns(context, await mendSessions(pool, [...new Set(stuck)]))
      await offerUnknown(page.filter((row) => row.offerable).map((row) => row.id))

      const from = gateCursor
      const known = await withGate(() => context.gate.scanRuns(from))
      if (known === null || known.kind === 'cold') return
      gateCursor = known.cursor
      const states = new Map((await runStates(pool, known.runIds)).map((row) => [row.id, row.status]))
      const over = known.runIds.filter((runId) => states.get(runId) !== 'queued')
      if (over.length > 0) await tellGate(() => context.gate.withdraw(over))
    },
  }
}
