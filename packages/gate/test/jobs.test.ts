import type { RunJob } from '@muster/contracts'
import { expect, onTestFinished, test } from 'vitest'
import type { Admitted, Gate } from '../src/index.ts'
import { run } from './fleet.ts'
import { connect, redisOfTest } from './open-gate.ts'

const admitted = (name: string, counter = 1): Admitted => ({
  runId: run(name),
  admission: 2 ** 32 + counter,
  pool: 'none',
  jobName: 'acme/coder/main',
})

const consume = (gate: Gate, process: (job: RunJob) => Promise<void>, concurrency = 4) => {
  const consumer = gate.consume('none', { concurrency, process })
  onTestFinished(() => consumer.close(0))
  return consumer
}

test('each admission reaches one processor once, however often its job is added', async () => {
  const gate = await connect(await redisOfTest())
  const done: RunJob[] = []
  await gate.enqueue([admitted('a'), admitted('b')])
  await gate.enqueue([admitted('a')])
  consume(gate, async (job) => void done.push(job))
  await expect.poll(() => done.length).toBe(2)
  expect(done.map((job) => job.run_id).sort()).toEqual([run('a'), run('b')].sort())
  expect(done[0]?.admission).toBe(2 ** 32 + 1)
})

test('a job leaves nothing behind, whether it succeeds or fails', async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  let taken = 0
  consume(gate, async (job) => {
    taken++
    if (job.run_id === run('bad')) throw new Error('no')
  })
  await gate.enqueue([admitted('good'), admitted('bad')])
  await expect.poll(() => taken).toBe(2)
  await expect.poll(() => redis.client.keys('{muster}:jobs:none:run_*')).toEqual([])
})

test('a paused consumer leaves jobs to others and goes on when it is resumed', async () => {
  const gate = await connect(await redisOfTest())
  const seen: string[] = []
  const consumer = consume(gate, async (job) => void seen.push(job.run_id))
  await gate.enqueue([admitted('first')])
  await expect.poll(() => seen.length).toBe(1)
  await consumer.pause()
  await gate.enqueue([admitted('p1'), admitted('p2'), admitted('p3')])
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(seen.length).toBeLessThanOrEqual(2)
  consumer.resume()
  await expect.poll(() => seen.length, { timeout: 8000 }).toBe(4)
})

test('closing waits for what is in hand, but not past its time', async () => {
  const gate = await connect(await redisOfTest())
  const finish = Promise.withResolvers<void>()
  let taken = 0
  const consumer = consume(gate, () => {
    taken++
    return finish.promise
  })
  await gate.enqueue([admitted('slow')])
  await expect.poll(() => taken).toBe(1)
  const began = performance.now()
  await consumer.close(200)
  expect(performance.now() - began).toBeLessThan(2500)
  finish.resolve()
})

test('a consumer takes jobs again within a second after Redis hung or restarted', { timeout: 30_000 }, async () => {
  const redis = await redisOfTest()
  const gate = await connect(redis)
  const seen: string[] = []
  consume(gate, async (job) => void seen.push(job.run_id))
  await gate.enqueue([admitted('before')])
  await expect.poll(() => seen.length).toBe(1)
  redis.hang()
  await new Promise((resolve) => setTimeout(resolve, 3000))
  redis.wake()
  const add = async (name: string) => {
    await expect
      .poll(
        () =>
          gate.enqueue([admitted(name)]).then(
            () => true,
            () => false,
          ),
        { timeout: 3000, interval: 20 },
      )
      .toBe(true)
  }
  await add('after the hang')
  await expect.poll(() => seen.at(-1), { timeout: 1500 }).toBe(run('after the hang'))
  await redis.restart()
  await add('after the restart')
  await expect.poll(() => seen.at(-1), { timeout: 1500 }).toBe(run('after the restart'))
})
