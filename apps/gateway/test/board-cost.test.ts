import { boardRuns, busyLanes, laneCounts, type Queryable } from '@muster/store'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type Fixture, openFixture } from './gateway-fixture.ts'

const PAST = 30_000
const STATES = ['waiting', 'delayed', 'active', 'completed', 'failed'] as const
let fixture: Fixture
let on: Queryable & { release(): void }
let copied = 0

/** Runs like the one given, of other lanes and statuses; what they would start is not. */
async function copyRun(runId: string, many: number, jobName: string, status: string, taskStatus: string) {
  const ids = [copied + 1, copied + many]
  copied += many
  await on.query('SET session_replication_role = replica')
  await on.query(
    `INSERT INTO runs SELECT p.* FROM runs r CROSS JOIN generate_series($2::integer, $3::integer) g CROSS JOIN LATERAL
       jsonb_populate_record(r, jsonb_build_object('id', 'run_0' || lpad(g::text, 25, '0'), 'task_id', 'tsk_0' || lpad(g::text, 25, '0'),
         'job_name', replace($4, '#', g::text), 'status', $5::text, 'offerable_at', now() + g * interval '1 ms')) p WHERE r.id = $1`,
    [runId, ...ids, jobName, status],
  )
  await on.query(
    `INSERT INTO tasks SELECT p.* FROM tasks t CROSS JOIN generate_series($2::integer, $3::integer) g CROSS JOIN LATERAL
       jsonb_populate_record(t, jsonb_build_object('id', 'tsk_0' || lpad(g::text, 25, '0'), 'run_id', 'run_1' || lpad(g::text, 25, '0'),
         'status', $4::text)) p WHERE t.run_id = $1`,
    [runId, ...ids, taskStatus],
  )
  await on.query('SET session_replication_role = origin')
}

const READ = z.tuple([z.object({ read: z.coerce.number() })])
const readSoFar = async (): Promise<number> => {
  const { rows } = await on.query(
    `SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) AS read FROM pg_stat_xact_user_tables WHERE relname IN ('runs', 'tasks')`,
  )
  return READ.parse(rows)[0].read
}

/** How many rows of runs and tasks are read, by whatever plan. */
async function rowsRead(ask: (on: Queryable) => Promise<unknown>): Promise<number> {
  await on.query('BEGIN')
  const before = await readSoFar()
  await ask(on)
  const read = (await readSoFar()) - before
  await on.query('COMMIT')
  return read
}

beforeAll(async () => {
  fixture = await openFixture()
  const { key } = await fixture.agent({ key: 'past' })
  const made = await fixture.call('POST', '/v1/commands', {
    body: { agent: key, message: 'hello', delay_ms: 86_400_000 },
  })
  on = await fixture.database.pool.connect()
  const runId = made.textAt('run.id')
  // ended before anything that waits was accepted, and requeued since
  await copyRun(runId, PAST, 'default/past/main', 'failed', 'pending')
  await copyRun(runId, PAST, 'default/other/main', 'succeeded', 'completed')
  await copyRun(runId, 3000, 'default/past/main', 'queued', 'pending')
  await copyRun(runId, 1, 'default/between/main', 'queued', 'pending')
  await copyRun(runId, 3000, 'default/past/main', 'queued', 'pending')
  await on.query('SET max_parallel_workers_per_gather = 0')
  await on.query('ANALYZE runs, tasks')
})
afterAll(async () => {
  on?.release()
  await fixture?.close()
})

test('a page reads what it shows, not the history of its lane or of others', async () => {
  for (const lane of ['default/past/main', 'default/other/main', 'default/none/main'])
    for (const state of STATES.filter((each) => each !== 'failed'))
      for (let n = 0; n < 7; n++) {
        const read = await rowsRead((tx) => boardRuns(tx, lane, state, { offset: 0, limit: 10 }))
        expect(read, `${lane} ${state} ${n}`).toBeLessThan(7000)
      }
})

test('dead letters are looked for among a bounded number of failed runs', async () => {
  const read = await rowsRead((tx) => boardRuns(tx, 'default/past/main', 'failed', { offset: 0, limit: 10 }))
  expect(read).toBeLessThan(21_000)
})

test('counting reads at most the bound of each state, not the history', async () => {
  const lanes = ['default/past/main', 'default/other/main', 'default/none/main']
  for (let n = 0; n < 7; n++) {
    const read = await rowsRead((tx) => laneCounts(tx, new Map(lanes.map((lane) => [lane, 500]))))
    expect(read).toBeLessThan(lanes.length * 500 * 7)
  }
})

test('the bound of a page is its end: nothing is shown twice past it', async () => {
  expect(await boardRuns(on, 'default/other/main', 'completed', { offset: 9999, limit: 10 })).toHaveLength(10)
  for (const offset of [10_000, 10_001, 1e15])
    expect(await boardRuns(on, 'default/other/main', 'completed', { offset, limit: 10 })).toEqual([])
})

test('a lane with work is listed behind whatever flood of another', async () => {
  const lanes = await busyLanes(on, 50)
  expect(lanes).toEqual(expect.arrayContaining(['default/past/main', 'default/between/main']))
  expect(await busyLanes(on, 1)).toHaveLength(1)
})
