import { admissionOf } from '@muster/core'
import { expect, test } from 'vitest'
import type { Gate } from '../src/index.ts'
import { capacities, holdingOf, node, offerOf, one, place, run, startOne, warm } from './fleet.ts'
import { connect, openGate, redisOfTest } from './open-gate.ts'

const empty = (epoch: number) => ({ epoch, config: [], holdings: [], capacities: capacities(1) })

const expectCold = async (gate: Gate) => {
  const offer = offerOf(place('a'), 1)
  const slot = { runId: run(1), admission: admissionOf(1, 1) }
  const replies = await Promise.all([
    gate.offer([offer]),
    gate.withdraw([run(1)]),
    gate.next(),
    gate.release([slot], [offer]),
    gate.sweep(),
    gate.configure([]),
    gate.setCapacities(capacities(9)),
    gate.restore([holdingOf(place('a'), '1', slot.admission)]),
    gate.explain(run(1)),
    gate.lookup([run(1)]),
    gate.unknown([run(1)]),
    gate.classStats([place('a').classKey]),
    gate.counts(),
    gate.audit(null),
    gate.scanRuns('0'),
    gate.recount(),
  ])
  expect(replies).toEqual(replies.map(() => ({ kind: 'cold' })))
  expect(await startOne(gate, run(1), slot.admission, node('n'))).toBe('cold')
  expect((await gate.state()).warm).toBe(false)
}

test('a gate that was never loaded is cold and stays empty', async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  await expectCold(gate)
  expect(await redis.client.keys('*')).toEqual([])
})

test('a flushed gate is cold until it is loaded', async () => {
  const { gate, redis } = await openGate({ capacities: { none: 1 } })
  await gate.offer([offerOf(place('a'), 1)])
  await redis.client.flushall()
  await expectCold(gate)
  expect(await redis.client.keys('*')).toEqual([])
  expect(await gate.load(empty(2))).toBe('loaded')
  expect(await gate.state()).toEqual({ warm: true, epoch: 2 })
})

test('a load of the same or a lower epoch is refused and changes nothing', async () => {
  const { gate } = await openGate({ epoch: 5, capacities: { none: 1 } })
  const given = one(warm(await gate.offer([offerOf(place('a'), 1)])).admitted)
  expect(await gate.load(empty(5))).toBe('refused')
  expect(await gate.load(empty(4))).toBe('refused')
  expect(await gate.lookup([given.runId])).toMatchObject({ runs: [{ state: 'reserved', admission: given.admission }] })
})

test('a Redis that restarted may have lost its last second: cold, and no load of that epoch again', async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  await gate.load(empty(3))
  await gate.offer([offerOf(place('a'), 1)])
  await redis.restart()
  await expect
    .poll(() => gate.state().catch(() => null), { timeout: 5000, interval: 20 })
    .toEqual({ warm: false, epoch: 3 })
  await expect.poll(() => gate.connected(2000), { timeout: 5000 }).toBe(true)
  await expectCold(gate)
  expect(await gate.load(empty(3))).toBe('refused')
  expect(await gate.load(empty(4))).toBe('loaded')
  expect(warm(await gate.offer([offerOf(place('a'), 1)])).admitted).toHaveLength(1)
})

test('a gate of another format is cold', async () => {
  const { gate, redis } = await openGate()
  await redis.client.hset('{muster}:gate', 'format', '0')
  await expectCold(gate)
})

test('a load gives every running run its slot, over the capacity, and forgets what waited', async () => {
  const { gate } = await openGate({ capacities: { none: 1 } })
  await gate.offer([offerOf(place('a'), 1), offerOf(place('a'), 2)])
  const holdings = ['x', 'y'].map((name, k) => holdingOf(place('a'), name, admissionOf(1, k + 1)))
  expect(await gate.load({ ...empty(2), holdings })).toBe('loaded')
  expect(await gate.lookup([run('x'), run('y'), run(1), run(2)])).toMatchObject({
    runs: [{ state: 'started' }, { state: 'started' }, { state: 'unknown' }, { state: 'unknown' }],
  })
  expect(warm(await gate.offer([offerOf(place('a'), 1)])).admitted).toEqual([])
  expect(warm(await gate.release(holdings, [])).admitted).toMatchObject([
    { runId: run(1), admission: admissionOf(2, 1) },
  ])
})

test('what earlier epochs left behind is removed, and nothing else', async () => {
  const { gate, redis } = await openGate({ capacities: { none: 1 } })
  await gate.offer(Array.from({ length: 3000 }, (_, k) => offerOf(place(`w${k % 100}`), `old${k}`)))
  await redis.client.set('other', '1')
  await gate.load(empty(2))
  await gate.offer([offerOf(place('a'), 1)])
  await gate.sweepOldEpochs()
  await expect.poll(async () => (await redis.client.keys('{muster}:1:*')).length).toBe(0)
  expect(await redis.client.get('other')).toBe('1')
  expect(await gate.lookup([run(1)])).toMatchObject({ runs: [{ state: 'reserved' }] })
})

test('a gate that has given nearly all admissions of its epoch is cold, and gives those of the next', async () => {
  const { gate, redis } = await openGate({ capacities: { none: 1 } })
  const [key = ''] = await redis.client.keys('*:gate')
  await redis.client.hset(key, 'counter', String(2 ** 32 - 1))
  expect(await gate.offer([offerOf(place('a'), 1)])).toEqual({ kind: 'cold' })
  expect(await gate.load({ ...empty(2), capacities: { none: 1 } })).toBe('loaded')
  const given = one(warm(await gate.offer([offerOf(place('a'), 1)])).admitted)
  expect(given.admission).toBe(admissionOf(2, 1))
})
