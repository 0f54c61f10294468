import { type AttemptOutcome, admissionOf, endAttempt, NO_USAGE } from '@muster/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  acceptCommands,
  appendEvents,
  type ClaimedRun,
  claimRuns,
  type Database,
  endRuns,
  finishRuns,
  openDatabase,
} from '../src/index.ts'
import { openRoad, type Road, succeeded } from './road-fixture.ts'

const BACKLOG = 8000
const BATCH = 20

let road: Road
/** One session, whose plans are made by its first calls. */
let database: Database
beforeAll(async () => {
  road = await openRoad()
  const { rows } = await road.database.pool.query('SELECT current_database() AS name')
  const url = new URL(road.database.pool.options.connectionString ?? '')
  url.pathname = `/${rows[0].name}`
  database = openDatabase({ url: url.href, poolSize: 1, onError: () => undefined })
})
afterAll(async () => {
  await database.close()
  await road.close()
})

const accept = (count: number) =>
  acceptCommands(
    database.pool,
    Array.from({ length: count }, () => road.item()),
  )

let admissions = 0
async function claim(nodeId: string, runIds: readonly string[], epoch = 1): Promise<ClaimedRun[]> {
  const claims = runIds.map((runId) => ({ runId, admission: admissionOf(epoch, ++admissions) }))
  const verdicts = await claimRuns(database.pool, nodeId, claims)
  return verdicts.flatMap((verdict) => ('run' in verdict ? [verdict.run] : []))
}

const append = (runs: readonly ClaimedRun[]) =>
  appendEvents(
    database.pool,
    runs.map((run) => ({
      runId: run.run_id,
      generation: run.generation,
      flush: 1,
      events: [{ type: 'agent.log' as const, data: { stream: 'stdout', text: 'here' } }],
    })),
  )

const finish = (runs: readonly ClaimedRun[], outcome: AttemptOutcome) =>
  (outcome.kind === 'succeeded' ? endRuns : finishRuns)(
    database.pool,
    runs.map((run) => ({
      runId: run.run_id,
      sessionId: null,
      generation: run.generation,
      end: endAttempt({ attemptCount: 0, maxAttempts: 1, losses: 0, handBacks: 0, retry: run.policy.retry }, outcome),
      usage: NO_USAGE,
      limits: {},
    })),
  )

/** Rows and entries of indexes that were read so far, by anyone. */
async function readSoFar(): Promise<number> {
  await database.pool.query('SELECT pg_stat_force_next_flush()')
  const { rows } = await database.pool.query(
    `SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes) AS read`,
  )
  return Number(rows[0].read)
}

test('plans that were made while the tables were empty read what a batch names, not what waits or is held', async () => {
  const node = await road.node()
  const pass = async (count: number): Promise<void> => {
    const accepted = await accept(count)
    const runIds = accepted.map((verdict) => verdict.run_id)
    for (const outcome of [{ kind: 'handed_back', progressed: true } as const, succeeded]) {
      const held = await claim(node, runIds)
      expect(held).toHaveLength(count)
      expect(await claim(node, runIds)).toEqual([])
      expect(await append(held)).not.toContain(null)
      expect((await finish(held, outcome)).moved).toHaveLength(count)
    }
  }
  await pass(1)
  const waiting = await accept(BACKLOG)
  await claim(
    node,
    waiting.slice(0, BACKLOG / 2).map((verdict) => verdict.run_id),
  )
  const before = await readSoFar()
  await pass(BATCH)
  // four claims, of which two are refused, two appends and two ends read some rows of each run, and more of their dead versions the busier
  // the server is; one pass over what is queued or held would read half of the backlog
  expect((await readSoFar()) - before).toBeLessThan(BACKLOG / 3)
})

test('a claim after an attempt that said much and saved nothing reads nothing of what it said', async () => {
  const node = await road.node()
  const runIds = (await accept(1)).map((verdict) => verdict.run_id)
  const held = await claim(node, runIds)
  await database.pool.query(
    `INSERT INTO noted_events (run_id, seq, attempt, type, data) SELECT $1, n + 2, 1, 'agent.delta', '{}' FROM generate_series(1, ${BACKLOG}) n`,
    runIds,
  )
  await database.pool.query(`UPDATE runs SET last_seq = ${BACKLOG + 2} WHERE id = ANY ($1)`, [runIds])
  const handedBack = { kind: 'handed_back', progressed: true } as const
  expect((await finish(held, handedBack)).moved).toHaveLength(1)
  const before = await readSoFar()
  expect((await finish(await claim(node, runIds), handedBack)).moved).toHaveLength(1)
  expect(await claim(node, runIds, 0)).toEqual([])
  expect(await claim(node, runIds)).toHaveLength(1)
  expect((await readSoFar()) - before).toBeLessThan(BACKLOG / 3)
})
