import { setTimeout as delay } from 'node:timers/promises'
import { createRedis, sized, startFleet, type TestFleet, type TestRedis, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { Books } from './load/books.ts'

const AWAY_MS = sized({ test: 5000, prove: 60_000 })
const EVERY_MS = 50
/** The promise, as a bound where nothing else uses the machine; a share of what a calm Redis gives where something may. */
const P99_MS = 100
const AS_FAST = 3

const faults: Record<string, { begin(redis: TestRedis): Promise<void>; end(redis: TestRedis): Promise<void> }> = {
  down: { begin: (redis) => redis.stop(), end: (redis) => redis.start() },
  hanging: {
    begin: async (redis) => redis.pause(),
    end: async (redis) => redis.resume(),
  },
}

test.concurrent.each(Object.keys(faults))(
  'with Redis %s commands are still accepted as fast as ever, and the first start comes within 3 s of its return',
  async (name) => {
    const fault = faults[name]
    if (fault === undefined) throw new Error('no such fault')
    await using redis = await createRedis()
    await using fleet = await startFleet({ workers: 2, slots: 4, redisUrl: redis.url })
    const books = new Books(fleet.facts()?.database_url ?? '')
    try {
      await fleet.client.post('/v1/commands', { agent: 'echo', message: 'warm' }, { prefer: 'wait=20' })
      const calm = p99Of(await submitFor(fleet, 4000))
      await fault.begin(redis)
      const times = await submitFor(fleet, AWAY_MS)
      await fault.end(redis)
      const back = performance.now()
      const started = () =>
        books.query(`SELECT id FROM runs WHERE started_at IS NOT NULL AND message = 'while away' LIMIT 1`)
      await until(async () => ((await started()).length > 0 ? true : undefined), {
        deadlineMs: 20_000,
        everyMs: 20,
        what: 'the first start',
      })
      const first = performance.now() - back
      const sorted = times.toSorted((one, other) => one - other)
      const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN
      console.log(
        `accepted ${times.length}, p99 ${p99.toFixed(1)} ms (calm: ${calm.toFixed(1)} ms), first start ${Math.round(first)} ms after the return`,
      )
      expect(p99).toBeLessThan(Math.max(P99_MS, AS_FAST * calm))
      expect(first).toBeLessThan(3000)
      await until(async () => ((await books.unfinished()) === 0 ? true : undefined), {
        deadlineMs: sized({ test: 60_000, prove: 200_000 }),
        what: 'all to end',
      })
    } finally {
      await books.close()
    }
  },
  sized({ test: 150_000, prove: 400_000 }),
)

/** Submits at an even pace, whatever the answers take; milliseconds of each. */
async function submitFor(fleet: TestFleet, ms: number): Promise<number[]> {
  const until = performance.now() + ms
  const answers: Promise<number>[] = []
  while (performance.now() < until) {
    const began = performance.now()
    answers.push(
      fleet.client.post('/v1/commands', { agent: 'echo', message: 'while away' }).then((answer) => {
        if (answer.status !== 202) throw new Error(`answered ${answer.status}`)
        return performance.now() - began
      }),
    )
    await delay(EVERY_MS)
  }
  return Promise.all(answers)
}

function p99Of(times: readonly number[]): number {
  const sorted = times.toSorted((one, other) => one - other)
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN
}
