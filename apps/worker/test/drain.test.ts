import { EventWriter } from '@muster/engine'
import { NO_TRACING } from '@muster/runtime'
import { until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RunDesk } from '../src/run-desk.ts'
import { openSmallFleet, SHELL, type SmallFleet } from './small-fleet.ts'

let fleet: SmallFleet
beforeAll(async () => {
  fleet = await openSmallFleet()
  await fleet.agent('shell', { command: [...SHELL] })
})
afterAll(() => fleet.close())

const slots = (env: Record<string, string>) =>
  fleet.worker({ MUSTER_POOLS: 'bubblewrap:4', MUSTER_DRAIN_MS: '0', ...env })

test('a drain hands back what still runs, charges no try, and the next worker goes on in the same folder', async () => {
  const leaving = await slots({})
  const { run } = await fleet.submit({
    agent: 'shell',
    message: '[ -e mark ] && echo done && exit; touch mark; echo ready; sleep 600',
  })
  await until(async () => (await fleet.events(run.id)).some((event) => event.type === 'agent.log'), {
    deadlineMs: 20_000,
  })
  await leaving.drain()
  expect(await fleet.run(run.id)).toMatchObject({ status: 'queued', attempt_count: 0, hand_backs: 1, front: true })
  const staying = await slots({})
  expect(await fleet.run(run.id, 'succeeded', 'failed')).toMatchObject({
    status: 'succeeded',
    output: 'done',
    attempt_count: 1,
  })
  expect((await fleet.attempts(run.id)).map((attempt) => attempt.status)).toEqual(['handed_back', 'succeeded'])
  await staying.drain()
})

test('a node that is declared dead while it drains kills what it held, and waits for no limit', async () => {
  const message = '[ -e mark ] && echo done && exit; touch mark; echo ready; sleep 600'
  const { run } = await fleet.submit({ agent: 'shell', message })
  const leaving = await slots({ MUSTER_DRAIN_MS: '60000' })
  await until(async () => (await fleet.events(run.id)).some((event) => event.type === 'agent.log'), {
    deadlineMs: 20_000,
  })
  let left = false
  const drained = leaving.drain().then(() => {
    left = true
  })
  await until(async () => {
    const { rowCount } = await fleet.database.pool.query(
      `UPDATE nodes SET status = 'inactive' WHERE id = $1 AND status = 'draining'`,
      [leaving.nodeId],
    )
    return rowCount === 1
  })
  await until(() => left, { deadlineMs: 15_000, what: 'the drain to end' })
  await drained
  const staying = await slots({})
  expect(await fleet.run(run.id, 'succeeded', 'failed')).toMatchObject({ output: 'done' })
  expect((await fleet.attempts(run.id)).map((attempt) => attempt.status)).toEqual(['lost', 'succeeded'])
  await staying.drain()
})

test('a run handed back five times without progress stays to the last limit and then counts as lost', async () => {
  const { run } = await fleet.submit({ agent: 'shell', message: 'sleep 600' })
  await fleet.database.pool.query('UPDATE runs SET hand_backs = 5 WHERE id = $1', [run.id])
  const leaving = await slots({ MUSTER_DRAIN_MAX_MS: '300' })
  await fleet.run(run.id, 'running')
  await leaving.drain()
  const taking = await slots({ MUSTER_DRAIN_MAX_MS: '300' })
  await until(async () => (await fleet.attempts(run.id))[0]?.status === 'lost', { deadlineMs: 15_000 })
  expect(await fleet.run(run.id)).toMatchObject({ losses: 1, hand_backs: 5, attempt_count: 0 })
  await taking.drain()
})

test('a job that arrives after a drain began is dropped untouched', async () => {
  const untouched = (): never => {
    throw new Error('the desk touched a job')
  }
  const gate = { ...fleet.gate, start: untouched }
  const beat = {
    ready: Promise.resolve(),
    name: untouched,
    hold: untouched,
    drop: untouched,
    claiming: untouched,
    claimed: untouched,
    draining: untouched,
    hurry: untouched,
    stop: untouched,
  }
  const desk = new RunDesk({
    context: { ...fleet.context, gate },
    holder: { claim: untouched, finish: untouched },
    beat,
    lossesMax: 5,
    cancelGraceMs: 0,
    nodeId: () => 'nod_01arz3ndektsv4rrffq69g5fav',
    serves: () => true,
    onNodeDead: untouched,
    onEnded: untouched,
    parts: {
      sandboxes: new Map(),
      folders: { open: untouched, replace: untouched, remove: untouched, untouched, removeReplaced: untouched },
      agentFolders: {
        bundles: { find: untouched },
        attachmentFolders: { open: untouched, prune: untouched },
        readAttachments: untouched,
      },
      writer: new EventWriter(fleet.context, new AbortController().signal),
      hostIdentity: 'here',
      holds: untouched,
      faultOf: async () => null,
      onStarted: untouched,
      tracing: NO_TRACING,
      noop: false,
    },
  })
  desk.close()
  await desk.take({ run_id: 'run_01arz3ndektsv4rrffq69g5fav', admission: 1 })
})
