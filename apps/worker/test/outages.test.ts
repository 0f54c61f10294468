import { checkInvariants } from '@muster/engine'
import { createPostgres, type TestServer, until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSmallFleet, SHELL, type SmallFleet } from './small-fleet.ts'

let postgres: TestServer
let fleet: SmallFleet
beforeAll(async () => {
  postgres = await createPostgres()
  fleet = await openSmallFleet({ postgresUrl: postgres.url })
  await fleet.agent('shell', { command: [...SHELL] })
  await fleet.worker({ MUSTER_POOLS: 'bubblewrap:4', MUSTER_DRAIN_MS: '0' })
})
afterAll(async () => {
  await fleet.close()
  await postgres[Symbol.asyncDispose]()
})

const saying = (runId: string, text: string) =>
  until(async () => (await fleet.events(runId)).some((event) => JSON.stringify(event.data).includes(text)), {
    deadlineMs: 20_000,
    what: `${runId} to say ${text}`,
  })
const nodeOf = async (runId: string): Promise<string> => (await fleet.run(runId, 'running')).node_id

test('a node that is declared dead kills what it lost before the run starts again, and comes back as another', async () => {
  const message =
    'if [ -e mark ]; then wc -l < log; sleep 0.4; wc -l < log; exit; fi; touch mark; echo ready; while :; do echo x >> log; sleep 0.02; done'
  const { run } = await fleet.submit({ agent: 'shell', message })
  await saying(run.id, 'ready')
  const dead = await nodeOf(run.id)
  await fleet.database.pool.query(`UPDATE nodes SET status = 'inactive' WHERE id = $1`, [dead])
  const done = await fleet.run(run.id, 'succeeded', 'failed')
  const [before, after] = String(done.output).split('\n')
  expect(Number(before)).toBeGreaterThan(0)
  expect(after).toBe(before)
  const attempts = await fleet.attempts(run.id)
  expect(attempts.map((attempt) => attempt.status)).toEqual(['lost', 'succeeded'])
  expect(attempts[1]?.node_id).not.toBe(dead)
})

test('a flush of Redis disturbs no run of a living worker, and what waits starts after it', async () => {
  const first = await fleet.submit({ agent: 'shell', message: 'echo ready; sleep 3; echo first' })
  await saying(first.run.id, 'ready')
  await fleet.redis.command('FLUSHALL')
  const second = await fleet.submit({ agent: 'shell', message: 'echo second' })
  expect(await fleet.run(second.run.id, 'succeeded', 'failed')).toMatchObject({ output: 'second' })
  expect(await fleet.run(first.run.id, 'succeeded', 'failed')).toMatchObject({ status: 'succeeded', generation: 2 })
  expect(await fleet.attempts(first.run.id)).toHaveLength(1)
})

test('a restart of Postgres loses no run: what runs goes on, ends and is kept, and jobs are taken again', async () => {
  const { run } = await fleet.submit({ agent: 'shell', message: 'echo ready; sleep 1; echo more; sleep 1; echo done' })
  await saying(run.id, 'ready')
  await postgres.restart()
  expect(await fleet.run(run.id, 'succeeded', 'failed')).toMatchObject({ status: 'succeeded', generation: 2 })
  const events = await fleet.events(run.id)
  expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1))
  const next = await until(() => fleet.submit({ agent: 'shell', message: 'echo again' }).catch(() => null))
  expect(await fleet.run(next.run.id, 'succeeded', 'failed')).toMatchObject({ output: 'again' })
})

test('a restart of Redis loses no run', async () => {
  const { run } = await fleet.submit({ agent: 'shell', message: 'echo ready; sleep 2; echo done' })
  await saying(run.id, 'ready')
  await fleet.redis.restart()
  expect(await fleet.run(run.id, 'succeeded', 'failed')).toMatchObject({ status: 'succeeded', generation: 2 })
  const next = await fleet.submit({ agent: 'shell', message: 'echo again' })
  expect(await fleet.run(next.run.id, 'succeeded', 'failed')).toMatchObject({ output: 'again' })
})

test('nothing is wrong at rest', async () => {
  await until(async () => (await checkInvariants(fleet.context)).violations.length === 0, { deadlineMs: 15_000 })
})

test('an outage of Postgres between the claim and the start of the program charges no try', async () => {
  await fleet.run((await fleet.submit({ agent: 'shell', message: 'echo warm' })).run.id, 'succeeded')
  const runs: Awaited<ReturnType<typeof fleet.submit>>[] = []
  for (let n = 0; n < 6; n++)
    runs.push(await fleet.submit({ agent: 'shell', message: 'echo ok', policy: { retry: { max_attempts: 1 } } }))
  await until(async () => (await fleet.events(runs[0]?.run.id ?? '')).some((event) => event.type === 'run.started'), {
    deadlineMs: 10_000,
    everyMs: 1,
    what: 'the first claim',
  })
  await postgres.restart()
  for (const { run } of runs)
    expect(await fleet.run(run.id, 'succeeded', 'failed')).toMatchObject({ status: 'succeeded', attempt_count: 1 })
})

test('a drain ends past its last limit though Postgres stays away, and its run starts again', async () => {
  await fleet.agent('plain', {
    command: ['sh', '-c', '[ -e mark ] && echo done && exit; touch mark; echo ready; sleep 60'],
  })
  const none = { MUSTER_POOLS: 'none:1', MUSTER_DRAIN_MS: '0', MUSTER_DRAIN_MAX_MS: '4000' }
  const leaving = await fleet.worker(none)
  const { run } = await fleet.submit({ agent: 'plain', message: '', policy: { runtime_type: 'none' } })
  await saying(run.id, 'ready')
  await postgres.stop()
  let left = false
  const drained = leaving.drain().then(() => {
    left = true
  })
  try {
    await until(() => left, { deadlineMs: 40_000, what: 'the drain to end' })
  } finally {
    await postgres.start()
  }
  await drained
  await fleet.worker(none)
  expect(await fleet.run(run.id, 'succeeded', 'failed')).toMatchObject({ output: 'done', losses: 0 })
  expect((await fleet.attempts(run.id)).map((attempt) => attempt.status)).toEqual(['lost', 'succeeded'])
})
