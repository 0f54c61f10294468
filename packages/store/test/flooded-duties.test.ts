import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  backlogPage,
  backlogSince,
  createAgent,
  createWorkspace,
  expireRuns,
  makeDue,
  namedSince,
} from '../src/index.ts'
import { openRoad, type Road, succeeded } from './road-fixture.ts'

const FLOOD = 100
const PAGE = 10
const OTHER_CLASS = `cls_${'1'.repeat(32)}`

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

const past = (column: 'not_before' | 'expires_at', seconds: number, runIds: readonly string[]) =>
  road.database.pool.query(`UPDATE runs SET ${column} = now() - $1 * interval '1 second' WHERE id = ANY ($2)`, [
    seconds,
    runIds,
  ])
const flood = async (fields: object): Promise<string[]> => {
  const accepted = await road.accept(...Array.from({ length: FLOOD }, () => fields))
  return accepted.map((verdict) => verdict.run_id)
}

test('a run whose session waits for its time joins before runs that need no order, however many are due and for longer', async () => {
  const many = await flood({ delay_ms: 3_600_000 })
  const { run_id } = await road.acceptOne({ session_key: 'due', delay_ms: 3_600_000 })
  await past('not_before', 60, many)
  await past('not_before', 1, [run_id])
  const first = await makeDue(road.database.pool, PAGE)
  expect(first.offers.map((offer) => offer.runId)).toEqual([run_id])
  expect(first.taken).toBe(PAGE)
  let taken = first.taken
  for (let last = first.taken; last === PAGE; taken += last) last = (await makeDue(road.database.pool, PAGE)).taken
  expect(taken).toBe(FLOOD + 1)
  const { n } = await road.one<{ n: number }>(
    `SELECT count(*)::integer AS n FROM tasks WHERE status = 'pending' AND run_id = ANY ($1)`,
    many,
  )
  expect(n).toBe(FLOOD)
})

test('a run whose session waits for its time joins with the first, however many another tenant has due and for longer', async () => {
  const sessions = Array.from({ length: FLOOD }, (_, n) => ({ session_key: `s${n}`, delay_ms: 3_600_000 }))
  const many = (await road.accept(...sessions)).map((verdict) => verdict.run_id)
  const { resource: other } = await createWorkspace(road.database, { key: 'other' })
  const { resource: agent } = await createAgent(road.database, other.id, {
    key: 'echo',
    config: { runner: 'process', command: ['true'] },
  })
  const others = { workspace_id: other.id, agent_id: agent.id, job_name: 'other/echo/main', class_key: OTHER_CLASS }
  const few = (await road.accept(...sessions.slice(0, 2).map((session) => ({ ...session, ...others })))).map(
    (verdict) => verdict.run_id,
  )
  await past('not_before', 60, many)
  await past('not_before', 1, few)
  const { offers, taken } = await makeDue(road.database.pool, PAGE)
  expect(taken).toBe(PAGE)
  expect(offers.map((offer) => offer.runId)).toEqual(expect.arrayContaining(few))
  let joined = taken
  for (let last = taken; last === PAGE; joined += last) last = (await makeDue(road.database.pool, PAGE)).taken
  expect(joined).toBe(FLOOD + few.length)
})

test('neither the runs of sessions nor the others are sorted or searched for what is due, or expired', async () => {
  const client = await road.database.pool.connect()
  try {
    await client.query('SET enable_seqscan = off')
    for (const [index, rest] of [
      ['runs_scheduled', 'scheduled AND not_before <= now() ORDER BY not_before, run_order'],
      ['runs_expires_at', 'started_at IS NULL AND expires_at <= now() ORDER BY expires_at'],
    ])
      for (const half of [0, 1]) {
        const { rows } = await client.query(
          `EXPLAIN SELECT id FROM runs WHERE status = 'queued' AND (session_id IS NULL)::integer = ${half} AND ${rest} LIMIT 500`,
        )
        const plan = rows.map((row) => row['QUERY PLAN']).join()
        expect(plan).toContain(`Index Scan using ${index}`)
        expect(plan).toMatch(/Index Cond: \S+session_id IS NULL.* AND \(/)
        expect(plan).not.toMatch(/Sort|Filter/)
      }
  } finally {
    client.release(true)
  }
})

test('a run that expired in a session ends before those that keep nobody waiting, however many did and for longer', async () => {
  const many = await flood({ ttl_ms: 3_600_000 })
  const [gone, next] = await road.accept({ session_key: 'gone', ttl_ms: 3_600_000 }, { session_key: 'gone' })
  await past('expires_at', 60, many)
  await past('expires_at', 1, [gone?.run_id ?? ''])
  const first = await expireRuns(road.database.pool, PAGE)
  expect(first.moved).toHaveLength(PAGE)
  expect(first.moved.map((each) => each.runId)).toContain(gone?.run_id)
  expect(first.offers.map((offer) => offer.runId)).toEqual([next?.run_id])
  let ended = PAGE
  for (let last = PAGE; last === PAGE; ended += last) last = (await expireRuns(road.database.pool, PAGE)).moved.length
  expect(ended).toBe(FLOOD + 1)
})

test('what became offerable since a while ago is found page by page, and no run before it: accepted, or named by its session', async () => {
  const { pool } = road.database
  const [first, second, old] = await road.accept({ session_key: 'since' }, { session_key: 'since' }, {})
  const ids = [first, second, old].map((verdict) => verdict?.run_id ?? '')
  await pool.query(`UPDATE runs SET offerable_at = now() - interval '1 minute' WHERE id = ANY ($1)`, [ids])
  const held = await road.held(await road.node(), first?.run_id ?? '')
  await pool.query(`UPDATE sessions SET named_at = now() - interval '1 minute'`)
  await pool.query(`UPDATE runs SET offerable_at = now() - interval '1 minute' WHERE status = 'queued'`)
  const found = async (page: typeof backlogPage | typeof namedSince) => {
    const rows: { run: string | null; offerable: boolean }[] = []
    for (let after = await backlogSince(pool, 30_000); ; ) {
      const some = await page(pool, after, 1)
      const [last] = some
      if (last === undefined) return rows.filter((row) => row.offerable).map((row) => row.run)
      rows.push({ run: 'run_id' in last ? last.run_id : last.id, offerable: last.offerable })
      after = last
    }
  }
  expect(await found(backlogPage)).toEqual([])
  expect(await found(namedSince)).toEqual([])
  await road.end(held, succeeded)
  const fresh = [(await road.acceptOne()).run_id, (await road.acceptOne()).run_id]
  expect(await found(backlogPage)).toEqual(fresh)
  expect(await found(namedSince)).toEqual([second?.run_id])
})
