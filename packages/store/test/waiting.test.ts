import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type AcceptVerdict,
  countWaiting,
  createAgent,
  knownKeys,
  makeDue,
  oldestQueued,
  patchAgent,
  patchWorkspace,
  waitingLimitsSince,
} from '../src/index.ts'
import { openRoad, type Road } from './road-fixture.ts'

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

test('queued runs are counted by workspace and agent, each no further than asked, in the order of the questions', async () => {
  const { database, workspaceId, agentId } = road
  const { resource: other } = await createAgent(database, workspaceId, {
    key: 'other',
    config: { runner: 'process', command: ['true'] },
  })
  const node = await road.node()
  const [first] = await road.accept({}, { delay_ms: 3_600_000 }, { session_key: 's' }, { session_key: 's' })
  await road.accept({ agent_id: other.id, agent_key: 'other', job_name: 'acme/other/main' })
  await road.held(node, first?.run_id ?? '')
  const workspace = { kind: 'workspace', workspaceId } as const
  const agent = { kind: 'agent', workspaceId, agentId } as const
  const counted = await countWaiting(database.pool, [
    { scope: agent, max: 100 },
    { scope: workspace, max: 100 },
    { scope: { ...agent, agentId: other.id }, max: 100 },
    { scope: workspace, max: 2 },
    { scope: agent, max: 0 },
    { scope: { kind: 'workspace', workspaceId: 'nobody' }, max: 100 },
  ])
  expect(counted).toEqual([3, 4, 1, 2, 0, 0])
  expect(await countWaiting(database.pool, [])).toEqual([])
})

test('a queued run has waited since its time came, and not while it is behind its session', async () => {
  const { pool } = road.database
  const gvisor = { pool: 'gvisor' } as const
  const [due, first, behind] = await road.accept(
    { ...gvisor, delay_ms: 60_000 },
    { ...gvisor, session_key: 'aged' },
    { ...gvisor, session_key: 'aged' },
  )
  const age = (column: string, seconds: number, ...verdicts: (AcceptVerdict | undefined)[]) =>
    pool.query(`UPDATE runs SET ${column} = now() - $1 * interval '1 second' WHERE id = ANY ($2)`, [
      seconds,
      verdicts.map((verdict) => verdict?.run_id),
    ])
  const oldest = async () => (await oldestQueued(pool)).find((each) => each.pool === 'gvisor')?.ageSeconds
  await pool.query(`UPDATE sessions SET named_at = now() - interval '2 hours'`)
  await age('queued_at', 7200, due, behind)
  await age('queued_at', 1000, first)
  await age('not_before', 500, due)
  await makeDue(pool, 100)
  expect(await oldest()).toBeCloseTo(1000, -2)
  await road.held(await road.node({ gvisor: 1 }), first?.run_id ?? '')
  expect(await oldest()).toBeCloseTo(500, -2)
})

test('limits are told whole at first, and then as they change', async () => {
  const { database, workspaceId, agentId } = road
  await patchWorkspace(database, workspaceId, { limits: { max_waiting: 7 } })
  const whole = await waitingLimitsSince(database.pool, null)
  expect(whole.limits).toEqual([{ scope: { kind: 'workspace', workspaceId }, max: 7 }])
  await patchAgent(database, workspaceId, 'echo', { limits: { max_waiting: 3 } })
  await patchWorkspace(database, workspaceId, { limits: { max_waiting: null } })
  const { limits } = await waitingLimitsSince(database.pool, whole.asOf)
  expect(limits).toContainEqual({ scope: { kind: 'workspace', workspaceId }, max: null })
  expect(limits).toContainEqual({ scope: { kind: 'agent', workspaceId, agentId }, max: 3 })
})

test('a key is known where a command was accepted under it, and nowhere else', async () => {
  const { database, workspaceId, agentId } = road
  const key = `'; drop table tasks; -- \u{1f980}`
  await road.accept({ idempotency_key: key })
  const place = { workspaceId, agentId, idempotencyKey: key }
  const places = [{ ...place, idempotencyKey: 'another' }, place, { ...place, agentId: 'nobody' }, place]
  expect(await knownKeys(database.pool, places)).toEqual([false, true, false, true])
})

test('what waits longest is found behind the many that wait for one session, which wait for no slot', async () => {
  const { pool } = road.database
  const age = async () => (await oldestQueued(pool)).find((each) => each.pool === 'runc')?.ageSeconds
  const [head, ...behind] = await road.accept(
    ...Array.from({ length: 50 }, () => ({ session_key: 'flood', pool: 'runc' as const })),
  )
  const { run_id } = await road.acceptOne({ pool: 'runc' })
  const since = (seconds: number, ids: readonly string[]) =>
    pool.query(
      `UPDATE runs SET queued_at = now() - $1 * interval '1 second', offerable_at = now() - $1 * interval '1 second' WHERE id = ANY ($2)`,
      [seconds, ids],
    )
  await since(
    3000,
    behind.map((verdict) => verdict.run_id),
  )
  await since(700, [run_id])
  expect(await age()).toBeCloseTo(700, -2)
  await since(2000, [head?.run_id ?? ''])
  expect(await age()).toBeCloseTo(700, -2)
  await pool.query(`UPDATE sessions SET named_at = now() - interval '1500 seconds' WHERE key = 'flood'`)
  expect(await age()).toBeCloseTo(1500, -2)
})
