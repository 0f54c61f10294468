import type { RunJob } from '@muster/contracts'
import { expect, onTestFinished, test } from 'vitest'
import type { Gate, GateOptions } from '../src/index.ts'
import { deafProxy } from './deaf-proxy.ts'
import { capacities, offerOf, place, run, warm } from './fleet.ts'
import { connect, openGate, redisOfTest } from './open-gate.ts'
import type { RedisServer } from './redis-server.ts'

const PLACE = place('acme', 'acme', { jobName: 'acme/coder/main' })

/* A gate whose slots do not run out. */
const connectWarm = async (redis: RedisServer, options: Partial<GateOptions> = {}): Promise<Gate> => {
  const gate = await connect(redis, options)
  await gate.load({ epoch: 1, config: [], holdings: [], capacities: capacities(100) })
  return gate
}

const admit = (gate: Gate, ...names: readonly string[]) => gate.offer(names.map((name) => offerOf(PLACE, name)))

const consume = (gate: Gate, process: (job: RunJob) => Promise<void>, concurrency = 4) => {
  const consumer = gate.consume('none', { concurrency, process })
  onTestFinished(() => consumer.close(0))
  return consumer
}

test('each admission reaches one processor once, however often its run is offered', async () => {
  const gate = await connectWarm(await redisOfTest())
  const done: RunJob[] = []
  const offers = ['a', 'b'].map((name) => offerOf(PLACE, name))
  const { admitted } = warm(await gate.offer(offers))
  await gate.offer(offers)
  consume(gate, async (job) => void done.push(job))
  await expect.poll(() => done.length).toBe(2)
  const sorted = (jobs: readonly RunJob[]) => jobs.toSorted((one, other) => one.admission - other.admission)
  expect(sorted(done)).toEqual(admitted.map(({ runId, admission }) => ({ run_id: runId, admission })))
})

test('an admission leaves in Redis exactly what a job leaves that BullMQ adds by itself', async () => {
  const redis = await redisOfTest()
  const gate = await connectWarm(redis, { now: () => 1_700_000_000_000 })
  const queue = gate.queues().find(({ name }) => name === 'none')
  const [given] = warm(await admit(gate, 'ours')).admitted
  const data = { run_id: run('theirs'), admission: Number(given?.admission) + 1 }
  const options = { jobId: 'theirs', attempts: 1, removeOnComplete: true, removeOnFail: true }
  await queue?.add('acme/coder/main', data, { ...options, timestamp: 1_700_000_000_000 })
  const ours = `${given?.runId}-${given?.admission}`
  const stored = async (id: string) => {
    const { data, opts, ...rest } = await redis.client.hgetall(`{muster}:jobs:none:${id}`)
    return { ...rest, data: JSON.parse(data ?? ''), opts: JSON.parse(opts ?? '') }
  }
  const theirs = await stored('theirs')
  // BullMQ keeps the time that it was told among the options too
  const { timestamp: _, ...kept } = theirs.opts
  expect(await stored(ours)).toEqual({
    ...theirs,
    data: { run_id: given?.runId, admission: given?.admission },
    opts: { ...kept, jobId: ours },
  })
  expect(await redis.client.lrange('{muster}:jobs:none:wait', 0, -1)).toEqual(['theirs', ours])
  expect(await redis.client.exists('{muster}:jobs:none:marker')).toBe(1)
  const events = (await redis.client.xrange('{muster}:jobs:none:events', '-', '+')).map(([, fields]) => fields)
  const of = (id: string) =>
    events.filter((fields) => fields.includes(id)).map((fields) => fields.filter((field) => field !== id))
  expect(of(ours)).toEqual(of('theirs'))
})

test('a job leaves nothing behind, whether it succeeds or fails', async () => {
  const redis = await redisOfTest()
  const gate = await connectWarm(redis)
  let taken = 0
  consume(gate, async (job) => {
    taken++
    if (job.run_id === run('bad')) throw new Error('no')
  })
  await admit(gate, 'good', 'bad')
  await expect.poll(() => taken).toBe(2)
  await expect.poll(() => redis.client.keys('{muster}:jobs:none:run_*')).toEqual([])
})

test('jobs that nobody takes go with their reservations, and with runs that are withdrawn', async () => {
  const { redis, clock, gate } = await openGate({ capacities: { none: 3 } })
  const kept = async () => (await redis.client.keys('{muster}:jobs:none:run_*')).toSorted()
  let { admitted } = warm(await admit(gate, 'w1', 'w2', 'w3', 'w4', 'w5'))
  const keysOf = () => admitted.map((one) => `{muster}:jobs:none:${one.runId}-${one.admission}`).toSorted()
  for (let outage = 0; outage < 3; outage++) {
    expect(await kept()).toEqual(keysOf())
    expect(await redis.client.llen('{muster}:jobs:none:wait')).toBe(3)
    clock.now += 3001
    admitted = warm(await gate.sweep()).admitted
    expect(admitted.length).toBe(3)
  }
  admitted = warm(await gate.withdraw(admitted.map((one) => one.runId))).admitted
  expect(admitted.length).toBe(2)
  expect(await kept()).toEqual(keysOf())
  expect(await redis.client.llen('{muster}:jobs:none:wait')).toBe(2)
})

test('a job that a worker took before its reservation ran out is left to that worker', async () => {
  const { redis, clock, gate } = await openGate({ capacities: { none: 3 } })
  const taken = Promise.withResolvers<RunJob>()
  const go = Promise.withResolvers<void>()
  const ended: RunJob[] = []
  consume(
    gate,
    async (job) => {
      taken.resolve(job)
      await go.promise
      ended.push(job)
    },
    1,
  )
  await admit(gate, 'taken')
  const job = await taken.promise
  clock.now += 3001
  warm(await gate.sweep())
  expect(await redis.client.exists(`{muster}:jobs:none:${job.run_id}-${job.admission}`)).toBe(1)
  go.resolve()
  await expect.poll(() => ended[0]).toEqual(job)
  await expect.poll(() => redis.client.exists(`{muster}:jobs:none:${job.run_id}-${job.admission}`)).toBe(0)
})

test('a paused consumer leaves jobs to others and goes on when it is resumed', async () => {
  const redis = await redisOfTest()
  const gate = await connectWarm(redis)
  const seen: string[] = []
  const consumer = consume(gate, async (job) => void seen.push(job.run_id))
  await admit(gate, 'first')
  await expect.poll(() => seen.length).toBe(1)
  // ended, so that its end asks for no further job
  await expect.poll(() => redis.client.keys('{muster}:jobs:none:run_*')).toEqual([])
  await consumer.pause()
  await admit(gate, 'p1', 'p2', 'p3')
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(seen.length).toBeLessThanOrEqual(2)
  consumer.resume()
  await expect.poll(() => seen.length, { timeout: 8000 }).toBe(4)
})

test('closing waits for what is in hand, but not past its time', async () => {
  const gate = await connectWarm(await redisOfTest())
  const finish = Promise.withResolvers<void>()
  let taken = 0
  const consumer = consume(gate, () => {
    taken++
    return finish.promise
  })
  await admit(gate, 'slow')
  await expect.poll(() => taken).toBe(1)
  const began = performance.now()
  await consumer.close(200)
  expect(performance.now() - began).toBeLessThan(2500)
  finish.resolve()
})

test('a consumer takes jobs again within a second after Redis hung or restarted', { timeout: 30_000 }, async () => {
  const redis = await redisOfTest()
  const gate = await connectWarm(redis)
  const seen: string[] = []
  consume(gate, async (job) => void seen.push(job.run_id))
  await admit(gate, 'before')
  await expect.poll(() => seen.length).toBe(1)
  redis.hang()
  await new Promise((resolve) => setTimeout(resolve, 3000))
  redis.wake()
  let epoch = 1
  const admitted = async (name: string): Promise<boolean> => {
    try {
      const reply = await admit(gate, name)
      // a Redis that restarted has a gate that may not be relied on
      if (reply.kind === 'cold')
        await gate.load({ epoch: ++epoch, config: [], holdings: [], capacities: capacities(100) })
      return reply.kind === 'warm'
    } catch {
      return false
    }
  }
  const add = (name: string) => expect.poll(() => admitted(name), { timeout: 3000, interval: 20 }).toBe(true)
  await add('after the hang')
  await expect.poll(() => seen.at(-1), { timeout: 1500 }).toBe(run('after the hang'))
  await redis.restart()
  await add('after the restart')
  await expect.poll(() => seen.at(-1), { timeout: 1500 }).toBe(run('after the restart'))
})

test('a consumer whose connections went dead without a word takes jobs again within seconds', {
  timeout: 30_000,
}, async () => {
  const redis = await redisOfTest()
  const [gate, proxy] = [await connectWarm(redis), await deafProxy(redis.url)]
  const consumed = await connect({ ...redis, url: proxy.url })
  const taken: string[] = []
  consume(consumed, async (job) => void taken.push(job.run_id))
  await admit(gate, 'before')
  await expect.poll(() => taken.length).toBe(1)
  proxy.deafen()
  await admit(gate, 'after')
  await expect.poll(() => taken.length, { timeout: 8000 }).toBe(2)
})
