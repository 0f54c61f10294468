import { DEFAULT_POLICY } from '@muster/contracts'
import { openTransaction, until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type AcceptVerdict, acceptCommands, deleteAgent, findAgent } from '../src/index.ts'
import { openRoad, type Road } from './road-fixture.ts'

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

const PLAIN = { fingerprint: null }
const STRICT = { ...DEFAULT_POLICY, retry: { ...DEFAULT_POLICY.retry, max_attempts: 7 } }
const OTHER = { ...PLAIN, policy: STRICT, class_key: `cls_${'1'.repeat(32)}` }

/** All that is kept of a command, but its ids, its place and its times. */
const kept = async (verdict: AcceptVerdict | undefined) =>
  road.one<{ run: Record<string, unknown>; task: Record<string, unknown> }>(
    `SELECT to_jsonb(r) - '{id,task_id,run_order,accepted_at,queued_at,offerable_at}'::text[] AS run,
       to_jsonb(t) - '{id,run_id,created_at,updated_at}'::text[] AS task
     FROM runs r JOIN tasks t ON t.id = r.task_id AND t.run_id = r.id WHERE r.id = $1`,
    verdict?.run_id,
  )

test('a plain command is kept alike whatever else is in its batch, each with its own policy', async () => {
  const alone = await road.accept(PLAIN, OTHER, PLAIN)
  const beside = await road.accept(PLAIN, OTHER, PLAIN, { ...PLAIN, label: 'not plain' })
  for (const [index, policy] of [DEFAULT_POLICY, STRICT, DEFAULT_POLICY].entries()) {
    const one = await kept(alone[index])
    expect(one.run['policy']).toEqual(policy)
    expect(one).toEqual(await kept(beside[index]))
  }
  expect((await kept(beside[3])).run['label']).toBe('not plain')
})

test('of two commands accepted at once for one session, the one that waits for the other is behind it, by its place and by its time', async () => {
  const { session_id, run_id } = await road.acceptOne({ session_key: 'shared' })
  await using first = await openTransaction(road.url, `SELECT FROM sessions WHERE id = '${session_id}' FOR UPDATE`)
  const behind = road.acceptOne({ session_id })
  await until(async () => ((await waitingForLocks()) === 1 ? true : undefined), { what: 'the second to wait' })
  const [ahead] = await acceptCommands(first.client, [road.item({ session_id })])
  await first.commit()
  const order = { session: [ahead?.run_id, (await behind).run_id] }
  expect(
    await road.one(
      `SELECT array_agg(r.id ORDER BY r.session_order) AS session FROM runs r WHERE r.session_id = $1 AND r.status = 'queued' AND r.id <> $2`,
      session_id,
      run_id,
    ),
  ).toEqual(order)
  expect(
    await road.one(
      `SELECT array_agg(r.id ORDER BY r.accepted_at) AS session FROM runs r JOIN tasks t ON t.run_id = r.id AND t.created_at = r.accepted_at
       WHERE r.session_id = $1 AND r.id <> $2`,
      session_id,
      run_id,
    ),
  ).toEqual(order)
})

test('a command that waits for its session until its time has come takes its place in the order, and is not scheduled any more', async () => {
  const { session_id } = await road.acceptOne({ session_key: 'late' })
  await using holder = await openTransaction(road.url, `SELECT FROM sessions WHERE id = '${session_id}' FOR UPDATE`)
  const accepting = road.accept({ session_id, delay_ms: 50 }, { session_id, delay_ms: 60_000 })
  await until(async () => ((await waitingForLocks()) === 1 ? true : undefined), { what: 'the commands to wait' })
  await holder.client.query('SELECT pg_sleep(0.1)')
  await holder.commit()
  const [due, later] = await accepting
  const placeOf = (verdict: AcceptVerdict | undefined) =>
    road.one(
      `SELECT t.status, r.scheduled, r.session_order IS NOT NULL AS placed FROM runs r JOIN tasks t ON t.run_id = r.id WHERE r.id = $1`,
      verdict?.run_id,
    )
  expect(await placeOf(due)).toEqual({ status: 'pending', scheduled: false, placed: true })
  expect(await placeOf(later)).toEqual({ status: 'scheduled', scheduled: true, placed: false })
})

test('an agent is not deleted while a command is being accepted for it', async () => {
  const { pool } = road.database
  const end = () => pool.query(`UPDATE runs SET status = 'cancelled' WHERE status = 'queued'`)
  await end()
  await pool.query(`
    CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(99); RETURN NEW; END';
    CREATE TRIGGER wait_here BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION wait_here()`)
  await using holder = await openTransaction(road.url, 'SELECT pg_advisory_xact_lock(99)')
  const accepting = road.acceptOne()
  await until(async () => ((await waitingForLocks()) === 1 ? true : undefined), { what: 'the command to wait' })
  const deleting = deleteAgent(road.database, road.workspaceId, 'echo')
  await until(async () => (await findAgent(road.database, road.workspaceId, 'echo')) === null || undefined)
  await holder.commit()
  expect((await accepting).outcome).toBe('accepted')
  expect(await deleting).toBe('busy')
  expect((await findAgent(road.database, road.workspaceId, 'echo'))?.key).toBe('echo')
  await end()
  expect(await deleteAgent(road.database, road.workspaceId, 'echo')).toBe('deleted')
})

const waitingForLocks = async () =>
  (
    await road.one<{ n: number }>(
      `SELECT count(*)::integer AS n FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%accept_commands(%'`,
    )
  ).n
