import { expect, test } from 'vitest'
import { type Gate, GateUnavailable } from '../src/index.ts'
import { capacities, offerOf, place, run, warm } from './fleet.ts'
import { connect, HURRIED, redisOfTest } from './open-gate.ts'

const took = async (call: () => Promise<unknown>) => {
  const began = performance.now()
  const outcome = await call().then(
    () => 'answered',
    (error: unknown) => (error instanceof GateUnavailable ? 'unavailable' : error),
  )
  return { outcome, ms: performance.now() - began }
}

const everyCall = (gate: Gate): (() => Promise<unknown>)[] => [
  () => gate.offer([offerOf(place('a'), 'o')]),
  () => gate.next(),
  () => gate.state(),
  () =>
    gate.live.publish([
      { seq: 1, run_id: run('o'), attempt: null, type: 'run.queued', at: '2026-11-20T12:00:00.000Z', data: {} },
    ]),
  () => gate.cancelWake(run('o')),
  () => gate.release([{ runId: run('o'), admission: 1 }], []),
]

test('while Redis hangs calls fail in their time, then at once; after it they work within a second', {
  timeout: 30_000,
}, async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis, { timeoutsMs: HURRIED })
  await gate.load({ epoch: 1, config: [], holdings: [], capacities: capacities(1) })
  redis.hang()
  const first = await Promise.all(Array.from({ length: 3 }, () => took(() => gate.offer([offerOf(place('a'), 'h')]))))
  expect(first.map((one) => one.outcome)).toEqual(Array(3).fill('unavailable'))
  // Generous, for a busy machine: the calls have 250 ms.
  for (const { ms } of first) expect(ms).toBeLessThan(750)
  for (let round = 0; round < 3; round++) await Promise.all(everyCall(gate).map(took))
  for (const call of everyCall(gate)) {
    const { outcome, ms } = await took(call)
    expect(outcome).toBe('unavailable')
    // Sooner than any time-out: the call was not sent.
    expect(ms).toBeLessThan(200)
  }
  await new Promise((resolve) => setTimeout(resolve, 4000))
  expect((await took(() => gate.next())).ms).toBeLessThan(200)
  redis.wake()
  await expect
    .poll(() => took(() => gate.next()).then((one) => one.outcome), { timeout: 1000, interval: 20 })
    .toBe('answered')
})

test('while Redis is away calls fail at once; after it they work within a second', { timeout: 30_000 }, async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis, { timeoutsMs: HURRIED })
  await gate.load({ epoch: 1, config: [], holdings: [], capacities: capacities(1) })
  await redis.kill()
  await expect.poll(() => took(() => gate.next()).then((one) => one.outcome)).toBe('unavailable')
  for (const call of everyCall(gate)) {
    const { outcome, ms } = await took(call)
    expect(outcome).toBe('unavailable')
    expect(ms).toBeLessThan(200)
  }
  await redis.restart()
  for (const call of everyCall(gate)) {
    await expect.poll(() => took(call).then((one) => one.outcome), { timeout: 1500, interval: 20 }).toBe('answered')
  }
})

test('a load without an answer is never sent again by itself', { timeout: 30_000 }, async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis, { timeoutsMs: { ...HURRIED, load: 300 } })
  redis.hang()
  expect((await took(() => gate.load({ epoch: 7, config: [], holdings: [], capacities: {} }))).outcome).toBe(
    'unavailable',
  )
  await redis.kill()
  await redis.restart()
  await expect.poll(() => gate.connected(1000), { timeout: 5000 }).toBe(true)
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect((await gate.state()).warm).toBe(false)
})

test('a call that Redis refuses for now is unavailable, and one it took late did no harm', async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis, { timeoutsMs: HURRIED })
  await gate.load({ epoch: 1, config: [], holdings: [], capacities: capacities(1) })
  await redis.client.config('SET', 'maxmemory', '1mb')
  expect((await took(() => gate.offer([offerOf(place('a'), 'm')]))).outcome).toBe('unavailable')
  await redis.client.config('SET', 'maxmemory', '0')
  expect(warm(await gate.offer([offerOf(place('a'), 'm')])).admitted).toHaveLength(1)
})

test('a full Redis counts as away, though it answers what only reads, until it has room', {
  timeout: 30_000,
}, async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  await gate.load({ epoch: 1, config: [], holdings: [], capacities: capacities(1) })
  await redis.client.config('SET', 'maxmemory', '1mb')
  for (let call = 0; call < 3; call++) {
    expect((await took(() => gate.counts())).outcome).toBe('answered')
    expect((await took(() => gate.state())).outcome).toBe('unavailable')
  }
  expect(gate.breakers().scripts).toBe('open')
  expect((await took(() => gate.counts())).outcome).toBe('unavailable')
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect(gate.breakers().scripts).toBe('open')
  await redis.client.config('SET', 'maxmemory', '0')
  await expect.poll(() => gate.breakers().scripts, { timeout: 5000 }).toBe('closed')
  expect(warm(await gate.offer([offerOf(place('a'), 'm')])).admitted).toHaveLength(1)
  expect(await redis.client.keys('*trial*')).toEqual([])
})
