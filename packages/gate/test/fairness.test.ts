import { expect, test } from 'vitest'
import type { Admitted, GateConfig, GateNode } from '../src/index.ts'
import { agent, classKey, node as nodeOf, offerOf, one, place, run, startOne, warm, workspace } from './fleet.ts'
import { openGate } from './open-gate.ts'

const NODE = nodeOf('worker')
const config = (node: GateNode, more: Partial<GateConfig>): GateConfig => ({
  node,
  limit: null,
  weight: 1,
  paused: false,
  version: 1,
  ...more,
})
const many = (name: string, count: number, at = place(name)) =>
  Array.from({ length: count }, (_, k) => offerOf(at, `${name}-${k}`))

test('one run behind a flood of 10,000 gets the next slot that is released', { timeout: 60_000 }, async () => {
  const { gate } = await openGate({ capacities: { none: 2 } })
  const flood = many('flood', 10_000)
  const held: Admitted[] = []
  for (let at = 0; at < flood.length; at += 1000)
    held.push(...warm(await gate.offer(flood.slice(at, at + 1000))).admitted)
  expect(held).toHaveLength(2)
  expect(warm(await gate.offer([offerOf(place('b'), 'b')])).admitted).toEqual([])
  const next = warm(await gate.release(held.slice(0, 1), [])).admitted
  expect(one(next).runId).toBe(run('b'))
})

test('a tenant that worked alone for an hour owes nothing to one that slept', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 2 } })
  const held = warm(await gate.offer(many('busy', 10))).admitted
  for (const { runId, admission } of held) await startOne(gate, runId, admission, NODE)
  for (let minute = 0; minute < 60; minute++) {
    clock.now += 60_000
    await gate.sweep()
  }
  const sleeper = many('sleeper', 10)
  await gate.offer(sleeper)
  const given: string[] = []
  const slots = [...held]
  for (let round = 0; round < 8; round++) {
    clock.now += 1000
    const next = warm(await gate.release(slots.splice(0, 1), [])).admitted
    given.push(one(next).runId)
    slots.push(...next)
  }
  expect(given.filter((runId) => sleeper.some((offer) => offer.runId === runId))).toHaveLength(4)
})

test.each<[string, GateNode]>([
  ['workspace', { kind: 'workspace', workspaceId: workspace('tenant') }],
  ['agent', { kind: 'agent', agentId: agent('tenant') }],
  ['lane', { kind: 'lane', agentId: agent('tenant'), lane: 'main' }],
  ['class', { kind: 'class', classKey: classKey('tenant') }],
])('the limit of a %s is never exceeded, and raising it admits at once', async (_, node) => {
  const { gate } = await openGate({ capacities: { none: 10 }, config: [config(node, { limit: 2 })] })
  const held = warm(await gate.offer(many('tenant', 8))).admitted
  expect(held).toHaveLength(2)
  expect(warm(await gate.next()).admitted).toEqual([])
  expect(warm(await gate.release(held.slice(0, 1), [])).admitted).toHaveLength(1)
  const raised = warm(await gate.configure([config(node, { limit: 5, version: 2 })]))
  expect(raised.applied).toBe(1)
  expect(raised.admitted).toHaveLength(3)
  expect(warm(await gate.configure([config(node, { limit: null, version: 1 })])).applied).toBe(0)
})

test('the limit of a lane binds all its classes together, in every pool', async () => {
  const lane: GateNode = { kind: 'lane', agentId: agent('wide'), lane: 'main' }
  const { gate } = await openGate({ capacities: { none: 10, runc: 10 }, config: [config(lane, { limit: 3 })] })
  const offers = [
    ...many('wide', 3, place('wide', 'wide1')),
    ...many('wide2', 3, place('wide', 'wide2', { pool: 'runc' })),
  ]
  expect(warm(await gate.offer(offers)).admitted).toHaveLength(3)
})

test('a pause acts on the backlog at once, and ends at once', async () => {
  const node: GateNode = { kind: 'agent', agentId: agent('paused') }
  const { gate } = await openGate({ capacities: { none: 1 } })
  const [first] = warm(await gate.offer(many('paused', 3))).admitted
  await gate.configure([config(node, { paused: true })])
  expect(warm(await gate.release(first === undefined ? [] : [first], [])).admitted).toEqual([])
  const answer = await gate.explain(run('paused-1'))
  expect(answer).toMatchObject({ explanation: { position: 1, blockedBy: { kind: 'paused', node } } })
  expect(warm(await gate.configure([config(node, { version: 2 })])).admitted).toHaveLength(1)
})

test('a job that meets a pause is refused and its run is the head of its class again', async () => {
  const node: GateNode = { kind: 'lane', agentId: agent('met'), lane: 'main' }
  const { gate } = await openGate({ capacities: { none: 1 } })
  const given = one(warm(await gate.offer(many('met', 2))).admitted)
  await gate.configure([config(node, { paused: true })])
  expect(await startOne(gate, given.runId, given.admission, NODE)).toBe('refused')
  const resumed = one(warm(await gate.configure([config(node, { version: 2 })])).admitted)
  expect(resumed.runId).toBe(given.runId)
  expect(resumed.admission).toBeGreaterThan(given.admission)
})

test('a script gives a bounded number of slots, the call all of them', async () => {
  const { gate } = await openGate()
  await gate.offer(many('bulk', 600))
  expect(warm(await gate.setCapacities({ none: 500 })).admitted).toHaveLength(500)
  expect(await gate.counts()).toMatchObject({ pools: { none: { queued: 100, used: 500, capacity: 500 } } })
})

test('explain names the pool that no node serves, and the limit that is reached', async () => {
  const node: GateNode = { kind: 'workspace', workspaceId: workspace('stuck') }
  const { gate } = await openGate({ config: [config(node, { limit: 1 })] })
  await gate.offer(many('stuck', 3))
  expect(await gate.explain(run('stuck-2'))).toMatchObject({
    explanation: { position: 3, blockedBy: { kind: 'no_node', pool: 'none' } },
  })
  await gate.setCapacities({ none: 5 })
  expect(await gate.explain(run('stuck-2'))).toMatchObject({
    explanation: { position: 2, blockedBy: { kind: 'limit', node, used: 1, limit: 1 } },
  })
  expect(await gate.explain(run('nobody'))).toEqual({ kind: 'warm', explanation: null })
})
