import type { RunEvent } from '@muster/contracts'
import { expect, test } from 'vitest'
import { run } from './fleet.ts'
import { connect, redisOfTest } from './open-gate.ts'

const events = (name: string, from: number, to: number): RunEvent[] =>
  Array.from({ length: to - from + 1 }, (_, k) => ({
    seq: from + k,
    run_id: run(name),
    attempt: 1,
    type: 'agent.message',
    at: '2026-11-20T12:00:00.000Z',
    data: { text: `event ${from + k}` },
  }))
const seqs = (list: readonly RunEvent[] | null) => list?.map((event) => event.seq) ?? null

test('published events are read from any point on, without holes', async () => {
  const gate = await connect(await redisOfTest())
  const { live } = gate
  await live.publish(run('e'), events('e', 1, 5))
  expect(await live.read(run('e'), 0, 100)).toEqual(events('e', 1, 5))
  expect(seqs(await live.read(run('e'), 3, 100))).toEqual([4, 5])
  expect(seqs(await live.read(run('e'), 1, 2))).toEqual([2, 3])
  expect(await live.read(run('e'), 5, 100)).toEqual([])
})

test('publishing again, or the past, changes nothing', async () => {
  const { live } = await connect(await redisOfTest())
  await live.publish(run('e'), events('e', 1, 3))
  await live.publish(run('e'), events('e', 2, 4))
  expect(seqs(await live.read(run('e'), 0, 100))).toEqual([1, 2, 3, 4])
})

test('a reader is sent to Postgres when the copy cannot tell', async () => {
  const redis = await redisOfTest()
  const { live } = await connect(redis)
  expect(await live.read(run('none'), 0, 10)).toBeNull()
  await live.publish(run('e'), events('e', 1, 3))
  await live.publish(run('e'), events('e', 6, 7))
  expect(seqs(await live.read(run('e'), 0, 100))).toEqual([1, 2, 3])
  expect(await live.read(run('e'), 4, 100)).toBeNull()
  expect(await live.read(run('e'), 9, 100)).toBeNull()
  expect(seqs(await live.read(run('e'), 5, 100))).toEqual([6, 7])
  await redis.client.xadd(`{muster}:live:${run('e')}`, '8-0', 'e', '{"seq":8}')
  expect(seqs(await live.read(run('e'), 6, 100))).toEqual([7])
})

test('a stream is bounded and expires', async () => {
  const redis = await redisOfTest()
  const { live } = await connect(redis, { timeoutsMs: { call: 5000 } })
  for (let at = 1; at < 3000; at += 500) await live.publish(run('long'), events('long', at, at + 499))
  const key = `{muster}:live:${run('long')}`
  expect(await redis.client.xlen(key)).toBeLessThan(1200)
  expect(await redis.client.ttl(key)).toBeGreaterThan(500)
  expect(await live.read(run('long'), 0, 10)).toBeNull()
  expect(seqs(await live.read(run('long'), 2998, 10))).toEqual([2999, 3000])
})

test('every subscriber of a run is woken, and none of another; a stopped one no more', async () => {
  const redis = await redisOfTest()
  const publisher = await connect(redis)
  const reader = await connect(redis)
  const woken = { one: 0, two: 0, other: 0 }
  const stop = reader.live.subscribe(run('s'), () => void woken.one++)
  reader.live.subscribe(run('s'), () => void woken.two++)
  reader.live.subscribe(run('else'), () => void woken.other++)
  await expect.poll(() => Math.min(woken.one, woken.two, woken.other)).toBeGreaterThan(0)
  const before = { ...woken }
  await publisher.live.publish(run('s'), events('s', 1, 2))
  await expect.poll(() => [woken.one - before.one, woken.two - before.two]).toEqual([1, 1])
  stop()
  await publisher.live.publish(run('s'), events('s', 3, 3))
  await expect.poll(() => woken.two - before.two).toBe(2)
  expect(woken.one - before.one).toBe(1)
  expect(woken.other).toBe(before.other)
})

test('after a reconnect everybody is woken and hears again', { timeout: 20_000 }, async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  let woken = 0
  gate.live.subscribe(run('r'), () => void woken++)
  await expect.poll(() => woken).toBeGreaterThan(0)
  const before = woken
  await redis.restart()
  await expect.poll(() => woken, { timeout: 3000 }).toBeGreaterThan(before)
  await expect.poll(() => gate.connected(1000), { timeout: 3000 }).toBe(true)
  const after = woken
  await gate.live.publish(run('r'), events('r', 1, 1))
  await expect.poll(() => woken).toBeGreaterThan(after)
})

test('a wake-up for a cancel reaches every listener with its run', async () => {
  const redis = await redisOfTest()
  const [asker, worker] = [await connect(redis), await connect(redis)]
  const heard: string[] = []
  const stop = worker.onCancel((runId) => void heard.push(runId))
  await expect.poll(() => asker.cancelWake(run('c')).then(() => heard.length)).toBeGreaterThan(0)
  expect(new Set(heard)).toEqual(new Set([run('c')]))
  stop()
})
