import { z } from 'zod'
import { type Moves, movesSchema } from './moves.ts'
import { type Offer, offerSchema } from './offer.ts'
import { execute, executeOne, type Queryable } from './statement.ts'

const TAKE_TICK = { name: 'take_tick', text: 'SELECT take_tick($1) AS taken', row: z.object({ taken: z.boolean() }) }
const AGE_NODES = { name: 'age_nodes', text: 'SELECT age_nodes() AS died', row: z.object({ died: z.int() }) }
const TAKE_LOST = {
  name: 'take_lost',
  text: 'SELECT take_lost($1, $2) AS moves',
  row: z.object({ moves: movesSchema }),
}
const EXPIRE = { name: 'expire_runs', text: 'SELECT expire_runs($1) AS moves', row: z.object({ moves: movesSchema }) }
const MAKE_DUE = {
  name: 'make_due',
  text: 'SELECT make_due($1) AS due',
  row: z.object({ due: z.object({ taken: z.int(), offers: z.array(offerSchema) }) }),
}
const MEND = {
  name: 'mend_sessions',
  text: 'SELECT mend_sessions($1) AS offers',
  row: z.object({ offers: z.array(offerSchema) }),
}
const IDS = z.object({ id: z.string() })
const MAY_BE_OFFERED = `r.status = 'queued' AND r.offerable_at > now() - interval '30 seconds'
      AND (r.not_before IS NULL OR r.not_before <= now() + interval '10 minutes')
      AND (r.session_id IS NULL OR EXISTS (SELECT FROM sessions s WHERE s.id = r.session_id AND s.current_run_id = r.id))`
const RECENT = {
  name: 'recently_offerable',
  // from both ends: what was lost just now is found at once however many wait, and what was not looked at meanwhile before it is too old
  text: `(SELECT r.id FROM runs r WHERE ${MAY_BE_OFFERED} ORDER BY r.offerable_at DESC, r.id DESC LIMIT 4000)
    UNION
    (SELECT r.id FROM runs r WHERE ${MAY_BE_OFFERED} ORDER BY r.offerable_at, r.id LIMIT 1000)
    UNION
    (SELECT r.id FROM sessions s JOIN runs r ON r.id = s.current_run_id
      WHERE s.current_run_id IS NOT NULL AND s.named_at > now() - interval '30 seconds' AND r.status = 'queued'
        AND (r.not_before IS NULL OR r.not_before <= now() + interval '10 minutes') LIMIT 5000)
    UNION
    (SELECT r.id FROM runs r WHERE r.status = 'queued' AND r.scheduled AND r.not_before <= now() + interval '10 minutes'
      AND (r.session_id IS NULL)::integer = 0 AND EXISTS (SELECT FROM sessions s WHERE s.id = r.session_id AND s.current_run_id = r.id)
      ORDER BY r.not_before LIMIT 1000)
    UNION
    (SELECT r.id FROM runs r WHERE r.status = 'queued' AND r.scheduled AND r.not_before <= now() + interval '10 minutes'
      AND (r.session_id IS NULL)::integer = 1 ORDER BY r.not_before LIMIT 4000)`,
  row: IDS,
}
const PAGE = {
  name: 'backlog_page',
  text: `SELECT r.offerable_at::text AS since, r.id, r.session_id, (r.session_id IS NULL OR s.current_run_id IS NOT DISTINCT FROM r.id)
      AND (r.not_before IS NULL OR r.not_before <= now() + interval '10 minutes') AS offerable,
      r.session_id IS NOT NULL AND s.current_run_id IS NULL AND r.session_order IS NOT NULL AS stuck
    FROM runs r LEFT JOIN sessions s ON s.id = r.session_id WHERE r.status = 'queued' AND (r.offerable_at, r.id) > ($1::timestamptz, $2) ORDER BY r.offerable_at, r.id LIMIT $3`,
  row: z.object({
    since: z.string(),
    id: z.string(),
    session_id: z.string().nullable(),
    offerable: z.boolean(),
    stuck: z.boolean(),
  }),
}
const LONG_OFFERABLE = {
  name: 'long_offerable',
  // short of ten minutes: what comes into that window just now is on its way
  text: `(SELECT r.id FROM runs r WHERE r.status = 'queued' AND r.session_id IS NULL AND r.offerable_at < now() - interval '10 seconds'
      AND (r.not_before IS NULL OR r.not_before <= now() + interval '9 minutes') ORDER BY r.offerable_at, r.id LIMIT $1)
    UNION ALL
    (SELECT r.id FROM sessions s JOIN runs r ON r.id = s.current_run_id AND r.status = 'queued' AND r.offerable_at < now() - interval '10 seconds'
        AND (r.not_before IS NULL OR r.not_before <= now() + interval '9 minutes')
      WHERE s.current_run_id IS NOT NULL AND s.named_at < now() - interval '10 seconds' ORDER BY s.named_at, s.id LIMIT $1)`,
  row: IDS,
}
const SINCE = {
  name: 'backlog_since',
  text: `SELECT (now() - $1::double precision * interval '1 millisecond')::text AS since`,
  row: z.object({ since: z.string() }),
}
const NAMED = {
  name: 'named_since',
  text: `SELECT s.named_at::text AS since, s.id, r.id AS run_id,
      coalesce(r.status = 'queued' AND (r.not_before IS NULL OR r.not_before <= now() + interval '10 minutes'), false) AS offerable
    FROM sessions s LEFT JOIN runs r ON r.id = s.current_run_id
    WHERE s.current_run_id IS NOT NULL AND (s.named_at, s.id) > ($1::timestamptz, $2) ORDER BY s.named_at, s.id LIMIT $3`,
  row: z.object({ since: z.string(), id: z.string(), run_id: z.string().nullable(), offerable: z.boolean() }),
}
const OFFERS = {
  name: 'offers_of',
  text: `SELECT offer_of(r) AS offer FROM runs r LEFT JOIN sessions s ON s.id = r.session_id
    WHERE r.id = ANY ($1) AND (r.status = 'queued') IS TRUE AND (r.session_id IS NULL OR s.current_run_id = r.id)`,
  row: z.object({ offer: offerSchema }),
}
const HELD = {
  name: 'held_runs',
  text: `SELECT r.id, r.admission, r.node_id, offer_of(r) AS offer FROM runs r WHERE r.status IN ('running', 'waiting') AND r.node_id IS NOT NULL`,
  row: z.object({ id: z.string(), admission: z.int(), node_id: z.string(), offer: offerSchema }),
}
const NODES = {
  name: 'node_states',
  text: `SELECT id, status IN ('active', 'draining') AS alive, claiming FROM nodes WHERE id = ANY ($1)`,
  row: z.object({
    id: z.string(),
    alive: z.boolean(),
    claiming: z.array(z.object({ run_id: z.string(), admission: z.int() })),
  }),
}
const STATUSES = {
  name: 'queued_among',
  text: `SELECT id, status, admission FROM runs WHERE id = ANY ($1)`,
  row: z.object({ id: z.string(), status: z.string(), admission: z.int() }),
}
const RAISE = {
  name: 'raise_epoch',
  text: 'SELECT raise_epoch() AS epoch',
  row: z.object({ epoch: z.int().nullable() }),
}
const EPOCH = { name: 'read_epoch', text: 'SELECT epoch FROM fleet', row: z.object({ epoch: z.int() }) }
const BURN = {
  name: 'burn_admission',
  text: 'SELECT burn_admission($1, $2) AS runs',
  row: z.object({ runs: z.boolean() }),
}

/** Takes the tick if the last one is at least so old; false when it is not. */
export const takeTick = async (on: Queryable, afterMs: number): Promise<boolean> =>
  (await executeOne(on, TAKE_TICK, [afterMs])).taken

/** Ages every living node by a tick; answers how many are dead now that were not before. */
export const ageNodes = async (on: Queryable): Promise<number> => (await executeOne(on, AGE_NODES, [])).died

/** Takes held runs whose node is dead, silent about them, or past their time; at `lossesMax` losses in a row a run ends. */
export const takeLost = async (on: Queryable, lossesMax: number, limit: number): Promise<Moves> =>
  (await executeOne(on, TAKE_LOST, [lossesMax, limit])).moves

/** Ends queued runs that did not start in time, those of sessions first. */
export const expireRuns = async (on: Queryable, limit: number): Promise<Moves> =>
  (await executeOne(on, EXPIRE, [limit])).moves

/** Runs whose time has come join their session's order, those first; answers how many had come due, and what is to be offered. */
export const makeDue = async (on: Queryable, limit: number): Promise<z.infer<typeof MAKE_DUE.row>['due']> =>
  (await executeOne(on, MAKE_DUE, [limit])).due

export const mendSessions = async (on: Queryable, sessionIds: readonly string[]): Promise<readonly Offer[]> =>
  (await executeOne(on, MEND, [sessionIds])).offers

/** Ids of runs that became offerable in the last 30 s or become due within ten minutes; of too many the newest, and some of the oldest. */
export const recentlyOfferable = async (on: Queryable): Promise<readonly string[]> =>
  (await execute(on, RECENT, [])).map((row) => row.id)

/** Ids of runs that may start, or come due within minutes, and could for ten seconds: so many of the longest without a session, and with. */
export const longOfferable = async (on: Queryable, limit: number): Promise<readonly string[]> =>
  (await execute(on, LONG_OFFERABLE, [limit])).map((row) => row.id)

/** A place in the backlog; `since` as Postgres writes it, to the microsecond. */
export type BacklogPlace = { readonly since: string; readonly id: string }
export const BACKLOG_HEAD: BacklogPlace = { since: '-infinity', id: '' }

/** The place after which the backlog holds what became offerable in the last so many milliseconds. */
export const backlogSince = async (on: Queryable, ms: number): Promise<BacklogPlace> => ({
  since: (await executeOne(on, SINCE, [ms])).since,
  id: '',
})

/** One page of the sessions that have a current run, after the place where the last page ended, those first that were given it first. */
export const namedSince = (
  on: Queryable,
  after: BacklogPlace,
  limit: number,
): Promise<readonly z.infer<typeof NAMED.row>[]> => execute(on, NAMED, [after.since, after.id, limit])

/** One page of the backlog after a place, the longest waiting first. */
export const backlogPage = (
  on: Queryable,
  after: BacklogPlace,
  limit: number,
): Promise<readonly z.infer<typeof PAGE.row>[]> => execute(on, PAGE, [after.since, after.id, limit])

/** Offers of those among the runs that may be offered now. */
export const offersOf = async (on: Queryable, runIds: readonly string[]): Promise<readonly Offer[]> =>
  runIds.length === 0 ? [] : (await execute(on, OFFERS, [runIds])).map((row) => row.offer)

export type Held = {
  readonly runId: string
  readonly admission: number
  readonly nodeId: string
  readonly offer: Offer
}

/** Every run that a node holds, with the admission it runs under. */
export const heldRuns = async (on: Queryable): Promise<readonly Held[]> =>
  (await execute(on, HELD, [])).map((row) => ({
    runId: row.id,
    admission: row.admission,
    nodeId: row.node_id,
    offer: row.offer,
  }))

export const nodeStates = (on: Queryable, nodeIds: readonly string[]): Promise<z.infer<typeof NODES.row>[]> =>
  execute(on, NODES, [nodeIds])

export const runStates = (on: Queryable, runIds: readonly string[]): Promise<z.infer<typeof STATUSES.row>[]> =>
  execute(on, STATUSES, [runIds])

/** Raises the epoch; null when it was raised within the last 3 s. */
export const raiseEpoch = async (on: Queryable): Promise<number | null> => (await executeOne(on, RAISE, [])).epoch

export const readEpoch = async (on: Queryable): Promise<number> => (await executeOne(on, EPOCH, [])).epoch

/** Makes a claim under this admission impossible; true when the run runs under it already. */
export const burnAdmission = async (on: Queryable, runId: string, admission: number): Promise<boolean> =>
  (await executeOne(on, BURN, [runId, admission])).runs
