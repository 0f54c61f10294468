import { setTimeout as delay } from 'node:timers/promises'
import {
  createDatabase,
  createPostgres,
  createRedis,
  randomFrom,
  seed,
  sized,
  startFleet,
  until,
} from '@muster/testkit'
import { expect, test } from 'vitest'
import { Books } from './load/books.ts'
import { expectCleanBooks } from './load/expect-clean-books.ts'
import { submitLoad } from './load/submit-load.ts'
import { makeTenants } from './load/tenants.ts'

/** As many as last until the last fault. */
const COMMANDS = sized({ test: 1300, prove: 5000 })
const TENANTS = sized({ test: 8, prove: 50 })
const AWAY_MS = sized({ test: 3000, prove: 10_000 })

test.concurrent(
  'with workers, gateway, Redis and Postgres failing under load, every accepted command still ends exactly once and nothing leaks',
  async () => {
    const random = randomFrom(seed())
    await using redis = await createRedis()
    await using postgres = await createPostgres()
    const database = await createDatabase(postgres.url)
    const books = new Books(database.url)
    {
      await using fleet = await startFleet({ workers: 3, slots: 4, databaseUrl: database.url, redisUrl: redis.url })
      const tenants = await makeTenants(fleet, TENANTS)
      const loading = submitLoad(tenants, {
        commands: COMMANDS,
        sessionsPerAgent: 5,
        clients: 16,
        message: (n) => `echo ${n}; sleep 0.${n % 3}`,
        random,
        everyMs: sized({ test: 300, prove: 60 }),
      })
      const lost = async (): Promise<number> => (await books.attempts()).filter((line) => line.status === 'lost').length

      const calm = await lost()
      await delay(1500)
      await redis.command('FLUSHALL')
      await delay(3000)
      await redis.stop()
      await delay(AWAY_MS)
      await redis.start()
      await delay(3000)
      redis.pause()
      await delay(AWAY_MS)
      redis.resume()
      await delay(3000)
      expect(await lost(), 'attempts lost to faults of Redis').toBe(calm)

      for (let kill = 0; kill < 3; kill++) {
        const victim = fleet.facts()?.worker_pids[kill]
        if (victim !== undefined) process.kill(victim, 'SIGKILL')
        await delay(2500)
      }
      const gateway = fleet.facts()?.gateway_pid
      if (gateway !== undefined) process.kill(gateway, 'SIGKILL')
      await delay(2000)
      await postgres.stop()
      await postgres.start()
      await redis.command('FLUSHALL')

      const submitted = await loading
      expect(await lost(), 'attempts lost to killed workers').toBeGreaterThan(calm)
      await expectCleanBooks(fleet, books, tenants, submitted, sized({ test: 180_000, prove: 900_000 }))
    }
    await books.close()
    await database.drop()
  },
  sized({ test: 300_000, prove: 1_500_000 }),
)

test.concurrent('a class at its limit stays at it and a paused class stays paused across FLUSHALL, and no running run is disturbed', async () => {
  await using redis = await createRedis()
  await using fleet = await startFleet({ workers: 2, slots: 4, redisUrl: redis.url })
  const books = new Books(fleet.facts()?.database_url ?? '')
  try {
    const submit = (lane: string) => fleet.client.post('/v1/commands', { agent: 'shell', message: 'sleep 6', lane })
    await fleet.client.patch('/v1/agents/shell', {
      limits: { lanes: { limited: { concurrency: 2 }, stopped: { paused: true } } },
    })
    for (let n = 0; n < 6; n++) {
      await submit('limited')
      await submit('stopped')
    }
    const running = (lane: string) =>
      books.query<{ id: string; generation: number }>(
        `SELECT id, generation FROM runs WHERE status = 'running' AND lane = $1 ORDER BY id`,
        lane,
      )
    await until(async () => ((await running('limited')).length === 2 ? true : undefined), {
      deadlineMs: 10_000,
      what: 'two limited runs',
    })
    const before = await running('limited')
    await redis.command('FLUSHALL')
    for (let look = 0; look < 20; look++) {
      expect((await running('limited')).length).toBeLessThanOrEqual(2)
      expect(await running('stopped')).toEqual([])
      await delay(150)
    }
    expect(await running('limited')).toEqual(before)
    await until(
      async () =>
        (await running('limited')).some((run) => !before.some((old) => old.id === run.id)) ? true : undefined,
      {
        deadlineMs: 20_000,
        what: 'the next limited run after the gate was rebuilt',
      },
    )
  } finally {
    await books.close()
  }
})
