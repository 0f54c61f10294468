import { setTimeout as delay } from 'node:timers/promises'
import { openTransaction, until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSmallFleet, SHELL, type SmallFleet } from './small-fleet.ts'

let fleet: SmallFleet
beforeAll(async () => {
  fleet = await openSmallFleet()
  await fleet.agent('shell', { command: [...SHELL] })
})
afterAll(() => fleet.close())

const queue = () => {
  const found = fleet.gate.queues().find(({ name }) => name === 'bubblewrap')
  if (found === undefined) throw new Error('no queue')
  return found
}

/** BullMQ delivers the run's job once more. */
async function redeliver(runId: string): Promise<void> {
  const { rows } = await fleet.database.pool.query<{ admission: string }>('SELECT admission FROM runs WHERE id = $1', [
    runId,
  ])
  await queue().add('again', { run_id: runId, admission: Number(rows[0]?.admission) })
  await until(async () => (await queue().getWaitingCount()) === 0 || undefined, { what: 'the job to be taken' })
}

/** Until a statement with this text waits for a lock. */
const blocked = (text: string, what: string) =>
  until(
    async () => {
      const { rowCount } = await fleet.database.pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'`,
        [text],
      )
      return rowCount === 1
    },
    { what },
  )

test('a job that is delivered again joins the execution in progress, also of a run that came to a place without a job', async () => {
  const worker = await fleet.worker({ MUSTER_POOLS: 'bubblewrap:2' })
  const sent = []
  for (const message of ['sleep 1', 'sleep 1', 'echo begun; sleep 3'])
    sent.push((await fleet.submit({ agent: 'shell', message })).run.id)
  const kept = sent.at(-1) ?? ''
  await fleet.run(kept, 'running')
  await redeliver(kept)
  expect(await fleet.run(kept, 'succeeded', 'failed')).toMatchObject({ status: 'succeeded', output: 'begun' })
  expect((await fleet.attempts(kept)).map((attempt) => attempt.status)).toEqual(['succeeded'])
  await worker.drain()
})

test('a worker that was declared dead takes no job, but one that is on its way, before it is registered anew', async () => {
  const worker = await fleet.worker({ MUSTER_POOLS: 'bubblewrap:2' })
  const { pool } = fleet.database
  await pool.query(`
    CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(99); RETURN NEW; END';
    CREATE TRIGGER wait_here BEFORE INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION wait_here()`)
  await using blocker = await openTransaction(fleet.databaseUrl, 'SELECT pg_advisory_xact_lock(99)')
  await pool.query(`UPDATE nodes SET status = 'inactive' WHERE id = $1`, [worker.nodeId])
  await blocked('INSERT INTO nodes', 'the registration to wait')
  const stray = { run_id: 'run_01arz3ndektsv4rrffq69g5fav', admission: 1 }
  for (const name of ['on its way', 'second', 'third']) await queue().add(name, stray)
  const taken = (left: number) => until(async () => (await queue().getWaitingCount()) <= left, { deadlineMs: 1000 })
  await expect(taken(1)).rejects.toThrow()
  await blocker.commit()
  const { run } = await fleet.submit({ agent: 'shell', message: 'echo after' })
  expect(await fleet.run(run.id, 'succeeded', 'failed')).toMatchObject({ output: 'after' })
  await taken(0)
  await pool.query('DROP TRIGGER wait_here ON nodes')
  await worker.drain()
})

test('a run whose claim is answered after a drain handed back the others is handed back too', async () => {
  const { run } = await fleet.submit({ agent: 'shell', message: 'sleep 600' })
  await using blocker = await openTransaction(fleet.databaseUrl, `SELECT FROM runs WHERE id = '${run.id}' FOR UPDATE`)
  const worker = await fleet.worker({ MUSTER_POOLS: 'bubblewrap:2', MUSTER_DRAIN_MS: '0' })
  await blocked('claim_runs(', 'the claim to wait')
  const drained = worker.drain()
  await until(
    async () =>
      (await fleet.database.pool.query(`SELECT FROM nodes WHERE id = $1 AND status = 'draining'`, [worker.nodeId]))
        .rowCount === 1 || undefined,
    { what: 'the drain to begin' },
  )
  // nothing outside shows that it has handed back what ran
  await delay(500)
  await blocker.commit()
  await drained
  expect(await fleet.run(run.id)).toMatchObject({ status: 'queued', hand_backs: 1, losses: 0 })
})
