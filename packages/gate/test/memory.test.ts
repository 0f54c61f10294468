import { sized } from '@muster/testkit'
import { expect, onTestFinished, test } from 'vitest'
import type { Admitted, Gate } from '../src/index.ts'
import { holdingOf, node, offerOf, place, startOne, warm } from './fleet.ts'
import { openGate } from './open-gate.ts'
import type { RedisServer } from './redis-server.ts'

const CLASSES = sized({ test: 2000, prove: 100_000 })
const SLOTS = 300
const STANDING = 400
/* BullMQ keeps about its last 10,000 events. */
const EVENTS_MAX = 11_000

type Footprint = { readonly keys: number; readonly bytes: number; readonly scripts: number }

/* Every key of the server but BullMQ's stream of events, whose length is bounded apart; each element of a key is counted. */
const footprint = async ({ client }: RedisServer): Promise<Footprint> => {
  const keys = (await client.keys('*')).filter((key) => !key.endsWith(':events'))
  const sizes = await Promise.all(keys.map((key) => client.memory('USAGE', key, 'SAMPLES', 0)))
  const scripts = Number(/number_of_cached_scripts:(\d+)/.exec(await client.info('memory'))?.[1])
  return { keys: keys.length, bytes: sizes.reduce<number>((sum, size) => sum + Number(size), 0), scripts }
}

test('100,000 classes that were at work and are idle again leave no keys and no bytes behind', {
  timeout: 1_200_000,
}, async () => {
  // What stays at work all the time: one per cent of an empty gate would be nothing.
  const standing = Array.from({ length: STANDING }, (_, k) => holdingOf(place(`stays${k}`), `stays${k}`, k + 1))
  const { gate, redis, clock } = await openGate({ capacities: { none: STANDING + SLOTS }, holdings: standing })
  const worker = await work(gate, SLOTS)
  const pass = async (name: string, classes: number) => {
    const offers = Array.from({ length: classes }, (_, k) => offerOf(place(`w${k % 50}`, `${name}${k}`), `${name}${k}`))
    for (let at = 0; at < classes; at += 500) {
      clock.now += 1
      worker.take(warm(await gate.offer(offers.slice(at, at + 500))).admitted)
    }
    await worker.empty()
    // What stays at work catches up with what is idle, and that is forgotten, a bounded number by each tick.
    const remembered = async () => {
      clock.now += 100
      await gate.sweep()
      return redis.client.exists('{muster}:1:idle')
    }
    await expect.poll(remembered, { timeout: 60_000, interval: 0 }).toBe(0)
  }
  // The first wave brings every script, queue and table of Redis to the size that such a wave leaves; Redis halves a table late.
  await pass('first', CLASSES)
  const before = await footprint(redis)
  await pass('second', CLASSES)
  const after = await footprint(redis)
  expect(after.keys).toBe(before.keys)
  expect(after.scripts).toBe(before.scripts)
  expect(Math.abs(after.bytes / before.bytes - 1)).toBeLessThan(0.01)
  expect(await redis.client.xlen('{muster}:jobs:none:events')).toBeLessThan(EVENTS_MAX)
})

/* Takes jobs, starts and releases their runs, and counts what is admitted. */
const work = async (gate: Gate, concurrency: number) => {
  const queue = gate.queues().find(({ name }) => name === 'none')
  let outstanding = 0
  const take = (admitted: readonly Admitted[]): void => {
    outstanding += admitted.length
  }
  const consumer = gate.consume('none', {
    concurrency,
    process: async ({ run_id, admission }) => {
      await startOne(gate, run_id, admission, node('n'))
      take(warm(await gate.release([{ runId: run_id, admission }], [])).admitted)
      outstanding -= 1
    },
  })
  onTestFinished(() => consumer.close(1000))
  return {
    take,
    empty: async () => {
      while (outstanding > 0) await new Promise((resolve) => setTimeout(resolve, 20))
      // BullMQ forgets a job a moment after its work is done
      const left = async () => Object.values((await queue?.getJobCounts('wait', 'active')) ?? {})
      await expect.poll(left, { timeout: 60_000 }).toEqual([0, 0])
    },
  }
}

test('a class that is ahead is remembered while a sibling works, and forgotten when it has caught up', async () => {
  const { gate, redis, clock } = await openGate({ capacities: { none: 2 } })
  const [a, b] = [place('t', 'a'), place('t', 'b')]
  const given = warm(await gate.offer([offerOf(a, 1), offerOf(b, 2), offerOf(b, 3)])).admitted
  clock.now += 1000
  const first = given.filter((one) => one.runId === offerOf(a, 1).runId)
  const last = given.filter((one) => one.runId !== offerOf(a, 1).runId)
  clock.now += 1000
  await gate.release(last, [])
  clock.now += 1000
  const rest = warm(await gate.release(first, [])).admitted
  expect(rest).toEqual([])
  const known = async () => (await redis.client.hkeys('{muster}:1:n')).filter((id) => id.startsWith('cls_')).length
  expect(await known()).toBe(2)
  clock.now += 1000
  await gate.sweep()
  expect(await known()).toBe(1)
})
