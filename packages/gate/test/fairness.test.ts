import { admissionOf } from '@muster/core'
import { expect, test } from 'vitest'
import type { Admitted, GateConfig, GateNode, GateOffer } from '../src/index.ts'
import {
  agent,
  classKey,
  holdingOf,
  node as nodeOf,
  offerOf,
  one,
  place,
  run,
  startOne,
  warm,
  workspace,
} from './fleet.ts'
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

type Opened = Awaited<ReturnType<typeof openGate>>

const workAnHour = async ({ gate, clock }: Opened, held: readonly Admitted[]) => {
  await gate.start(held, NODE)
  for (let minute = 0; minute < 60; minute++) {
    clock.now += 60_000
    await gate.sweep()
  }
}

/* Releases the slot that was held for longest each second, and counts how often the next run was one of the offers; ids settle ties. */
const turnsOf = async ({ gate, clock }: Opened, offers: readonly GateOffer[], held: readonly Admitted[], turns = 8) => {
  const slots = [...held]
  const given: string[] = []
  for (let turn = 0; turn < turns; turn++) {
    clock.now += 1000
    const next = one(warm(await gate.release(slots.splice(0, 1), [])).admitted)
    given.push(next.runId)
    slots.push(next)
  }
  return given.filter((runId) => offers.some((offer) => offer.runId === runId)).length
}

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
  const opened = await openGate({ capacities: { none: 2 } })
  const held = warm(await opened.gate.offer(many('busy', 10))).admitted
  await workAnHour(opened, held)
  const sleeper = many('sleeper', 10)
  await opened.gate.offer(sleeper)
  expect(await turnsOf(opened, sleeper, held)).toBe(4)
})

const gvisor = (name: string, of = name) => place(of, name, { pool: 'gvisor' })

test.each([
  ['no node', 0],
  ['one slot, which is held', 1],
])('who waits in a pool with %s gives nobody credit in another pool', async (_, slots) => {
  const opened = await openGate({
    capacities: { none: 1, gvisor: slots },
    config: [config({ kind: 'workspace', workspaceId: workspace('holder') }, { weight: 1000 })],
  })
  const { gate } = opened
  await gate.offer([...many('holder', 1, gvisor('holder')), ...many('waiter', 1, gvisor('waiter'))])
  const held = warm(await gate.offer(many('steady', 20))).admitted
  await workAnHour(opened, held)
  const newcomer = many('newcomer', 20)
  await gate.offer(newcomer)
  expect([4, 5]).toContain(await turnsOf(opened, newcomer, held))
})

test('who waits in a pool without a node saves no credit of its own for another pool', async () => {
  const opened = await openGate({ capacities: { none: 1 } })
  await opened.gate.offer(many('saver', 1, gvisor('saver')))
  const held = warm(await opened.gate.offer(many('steadier', 20))).admitted
  await workAnHour(opened, held)
  const saver = many('saved', 20, place('saver', 'saved'))
  await opened.gate.offer(saver)
  expect([4, 5]).toContain(await turnsOf(opened, saver, held))
})

test('who begins in a pool where others have worked more owes nothing in the pool of its own', async () => {
  const opened = await openGate({ capacities: { none: 10, gvisor: 1 } })
  const { gate } = opened
  const flood = warm(await gate.offer(many('flooder', 10))).admitted
  const first = warm(await gate.offer(many('peer', 20, gvisor('peer')))).admitted
  const own = many('beginner', 20, gvisor('beginner'))
  await gate.offer(own)
  await workAnHour(opened, [...flood, ...first])
  const given = warm(await gate.release(first, [])).admitted
  await workAnHour(opened, given)
  const back = warm(await gate.release(given, [])).admitted
  await gate.offer([offerOf(place('beginner', 'begun'), 'begun')])
  expect([4, 5]).toContain(await turnsOf(opened, own, back))
})

test('who waits in a pool without a node keeps nobody else remembered', async () => {
  const opened = await openGate({ capacities: { none: 3 } })
  const { gate, redis, clock } = opened
  await gate.offer(many('stayer', 1, gvisor('stayer')))
  const busy = warm(await gate.offer(many('present', 1))).admitted
  const past = warm(await gate.offer(many('past', 2))).admitted
  clock.now += 60_000
  await gate.release(past, [])
  const isKnown = () => redis.client.hexists('{muster}:1:n', workspace('past'))
  await gate.sweep()
  expect(await isKnown()).toBe(1)
  await workAnHour(opened, busy)
  expect(await isKnown()).toBe(0)
})

test('a run that gets its slot back gives nobody credit', async () => {
  const opened = await openGate({ capacities: { none: 1 } })
  const { gate } = opened
  const held = warm(await gate.offer(many('settled', 20))).admitted
  await workAnHour(opened, held)
  await gate.restore([holdingOf(place('found'), 'found', admissionOf(1, 100))])
  await gate.setCapacities({ none: 2 })
  const late = many('late', 20)
  await gate.offer(late)
  expect([4, 5]).toContain(await turnsOf(opened, late, held))
})

test('nobody is charged for the hours that the clock leaps over', async () => {
  const opened = await openGate({ capacities: { none: 1 } })
  const { gate, clock } = opened
  const holder = many('leapt', 200)
  const held = warm(await gate.offer(holder)).admitted
  await gate.start(held, NODE)
  await gate.offer(many('rested', 200))
  clock.now += 3_600_000
  await gate.sweep()
  expect(await turnsOf(opened, holder, held, 200)).toBeGreaterThan(60)
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
