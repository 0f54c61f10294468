import type { RunEvent } from '@muster/contracts'
import { expect, onTestFinished, test } from 'vitest'
import type { Gate } from '../src/index.ts'
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
const seqs = (list: readonly RunEvent[]) => list.map((event) => event.seq)

/** What a subscriber of a run was told, once its subscription stands. */
async function listen(gate: Gate, name: string): Promise<(readonly RunEvent[])[]> {
  const heard: (readonly RunEvent[])[] = []
  gate.live.subscribe(run(name), (list) => void heard.push(list))
  await expect.poll(() => heard.length).toBeGreaterThan(0)
  heard.length = 0
  return heard
}

test('published events reach the readers of their runs whole and in order, and nobody else', async () => {
  const redis = await redisOfTest()
  const [writer, reader] = [await connect(redis), await connect(redis)]
  const [one, other] = [await listen(reader, 'e'), await listen(reader, 'f')]
  await writer.live.publish([...events('e', 1, 3), ...events('f', 7, 7), ...events('e', 4, 5)])
  await expect.poll(() => [one.flat().length, other.flat().length]).toEqual([5, 1])
  expect(one.flat()).toEqual(events('e', 1, 5))
  expect(other.flat()).toEqual(events('f', 7, 7))
})

test('more events than one call may carry all arrive in order', async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  const heard = await listen(gate, 'long')
  const long = events('long', 1, 40).map((event) => ({ ...event, data: { text: 'x'.repeat(20_000) } }))
  for (let at = 0; at < long.length; at += 20)
    await gate.live.publish([...long.slice(at, at + 20), ...events('b', 1, 1)])
  await expect.poll(() => seqs(heard.flat())).toEqual(seqs(long))
})

test('while nobody reads nothing is sent, and the first reader of any run is heard of at once and for as long as it reads', async () => {
  const redis = await redisOfTest()
  const timeoutsMs = { audience: 600 }
  const [writer, reader] = [await connect(redis, { timeoutsMs }), await connect(redis, { timeoutsMs })]
  const sent: string[] = []
  const spy = redis.client.duplicate()
  onTestFinished(() => spy.disconnect())
  spy.on('message', (_, message) => sent.push(message))
  await spy.subscribe(`{muster}:live:${run('e')}`)
  const isSent = async () => {
    const before = sent.length
    await writer.live.publish(events('e', 1, 1))
    await new Promise((resolve) => setTimeout(resolve, 20))
    return sent.length > before
  }
  expect(await isSent()).toBe(true)
  // one that is refused reads nothing
  expect(() => reader.live.subscribe('not a run', () => undefined)).toThrow()
  await expect.poll(isSent, { interval: 50, timeout: 5000 }).toBe(false)
  const stop = reader.live.subscribe(run('other'), () => undefined)
  await expect.poll(isSent, { interval: 5, timeout: 400 }).toBe(true)
  for (let look = 0; look < 10; look++) {
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(await isSent()).toBe(true)
  }
  stop()
  await expect.poll(isSent, { interval: 50, timeout: 5000 }).toBe(false)
})

test('nothing is kept in Redis for readers', async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  const before = await redis.client.dbsize()
  await gate.live.publish(events('e', 1, 100))
  expect(await redis.client.dbsize()).toBe(before)
})

test('a message that is no list of events tells its readers to look for themselves', async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  const heard = await listen(gate, 'e')
  await redis.client.publish(`{muster}:live:${run('e')}`, '{"seq":8}')
  await redis.client.publish(`{muster}:live:${run('e')}`, 'no JSON')
  await expect.poll(() => heard).toEqual([[], []])
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
  await publisher.live.publish(events('s', 1, 2))
  await expect.poll(() => [woken.one - before.one, woken.two - before.two]).toEqual([1, 1])
  stop()
  await publisher.live.publish(events('s', 3, 3))
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
  await gate.live.publish(events('r', 1, 1))
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
