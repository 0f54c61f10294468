import type { RunEvent } from '@muster/contracts'
import { createRedis, randomFrom, seed, sized, type TestRedis, until } from '@muster/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GatewayApp } from '../src/build-app.ts'
import { eventStream } from '../src/live/event-stream.ts'
import { Driver } from './drive-run.ts'
import { type Fixture, openFixture } from './gateway-fixture.ts'
import { readSse, type SseEvent } from './sse-reader.ts'

let redis: TestRedis
let fixture: Fixture
let driver: Driver
beforeAll(async () => {
  redis = await createRedis()
  fixture = await openFixture(redis.url)
  driver = await Driver.register(fixture.database)
})
afterAll(async () => {
  await fixture.close()
  await redis[Symbol.asyncDispose]()
})

async function queuedRun(): Promise<string> {
  const agent = await fixture.agent()
  const sent = await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'm' } })
  return sent.textAt('run.id')
}

const open = async (runId: string, lastEventId: number | null, app: GatewayApp = fixture.gateway): Promise<Response> =>
  app.app.request(`http://muster.test/v1/runs/${runId}/events`, {
    headers: {
      authorization: `Bearer ${fixture.key}`,
      accept: 'text/event-stream',
      ...(lastEventId === null ? {} : { 'last-event-id': String(lastEventId) }),
    },
  })

/** Publishes as the engine does: after the commit, and not always. */
async function publish(runId: string, afterSeq: number): Promise<void> {
  const page = await fixture.call('GET', `/v1/runs/${runId}/events?after=${afterSeq}&limit=1000`)
  const events = page.at('data')
  if (Array.isArray(events)) await fixture.gate.live.publish(events).catch(() => undefined)
}

const numbers = (events: readonly SseEvent[]): number[] => events.map((event) => event.id)
const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)

describe('as a page', () => {
  test('gives the events after a number in order, and says where to go on', async () => {
    const runId = await queuedRun()
    const generation = await driver.claim(runId)
    await driver.say(runId, generation, ['a', 'b', 'c', 'd'])
    const first = await fixture.call('GET', `/v1/runs/${runId}/events?limit=4`)
    expect(first.at('data')).toMatchObject([
      { seq: 1 },
      { seq: 2, type: 'run.started' },
      { seq: 3, data: { text: 'a' } },
      { seq: 4 },
    ])
    expect([first.at('next_after'), first.at('has_more')]).toEqual([4, true])
    const rest = await fixture.call('GET', `/v1/runs/${runId}/events?after=4`)
    expect(rest.at('data')).toMatchObject([{ seq: 5 }, { seq: 6 }])
    expect([rest.at('next_after'), rest.at('has_more')]).toEqual([6, false])
  })

  test('an event that holds JSON of the deepest kind can be read back', async () => {
    const runId = await queuedRun()
    const deepest = Array.from({ length: 31 }).reduce<unknown>((inner) => [inner], 1)
    await driver.succeed(runId, await driver.claim(runId), JSON.parse(JSON.stringify(deepest)))
    const page = await fixture.call('GET', `/v1/runs/${runId}/events`)
    expect(page.at('data.2.data.output')).toEqual(deepest)
    expect((await fixture.call('GET', `/v1/runs/${runId}`)).at('run.output')).toEqual(deepest)
  })
})

describe('as a stream', () => {
  test('gives history, then what follows, and ends with the run; then there is nothing more: 204', async () => {
    const runId = await queuedRun()
    const reading = open(runId, null).then((response) => {
      expect(response.headers.get('content-type')).toBe('text/event-stream')
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(response.headers.get('x-accel-buffering')).toBe('no')
      return readSse(response)
    })
    const generation = await driver.claim(runId)
    await driver.say(runId, generation, ['one', 'two'])
    await publish(runId, 0)
    await driver.succeed(runId, generation, 'done')
    const events = await reading
    expect(numbers(events)).toEqual(upTo(5))
    expect(events.map((event) => event.type)).toEqual([
      'run.queued',
      'run.started',
      'agent.delta',
      'agent.delta',
      'run.finished',
    ])
    for (const event of events) expect(event.data.seq).toBe(event.id)
    expect((await open(runId, 5)).status).toBe(204)
    expect(numbers(await readSse(await open(runId, 3)))).toEqual([4, 5])
  })

  test('a reader that names an event beyond the log gets what comes next, to the end', async () => {
    const runId = await queuedRun()
    const generation = await driver.claim(runId)
    const ahead = [await open(runId, 1000), await open(runId, 2_147_483_647)].map((response) => readSse(response))
    const page = await fixture.call('GET', `/v1/runs/${runId}/events?after=1000`)
    expect([page.at('data'), page.at('next_after')]).toEqual([[], 2])
    await driver.say(runId, generation, ['next'])
    await publish(runId, 2)
    await driver.succeed(runId, generation, 'done')
    for (const events of await Promise.all(ahead))
      expect(events.map(({ id, type }) => [id, type])).toEqual([
        [3, 'agent.delta'],
        [4, 'run.finished'],
      ])
  })

  test('without Redis everything still arrives, within a poll', async () => {
    const runId = await queuedRun()
    const response = await open(runId, null)
    await redis.stop()
    try {
      const reading = readSse(response)
      const generation = await driver.claim(runId)
      await driver.say(runId, generation, ['one', 'two'])
      await driver.succeed(runId, generation, 'done')
      expect(numbers(await reading)).toEqual(upTo(5))
    } finally {
      await redis.start()
    }
  })

  test('a reader that leaves is forgotten, and a gateway that drains ends its streams so that they resume elsewhere', async () => {
    const runId = await queuedRun()
    await readSse(await open(runId, null), (events) => events.length === 1)
    await until(() => fixture.gateway.logs.readers === 0)
    const other = fixture.another()
    const reading = open(runId, null, other).then((response) => readSse(response))
    await until(() => other.logs.readers === 1)
    other.drain()
    expect(numbers(await reading)).toEqual([1])
    expect(other.logs.readers).toBe(0)
    const generation = await driver.claim(runId)
    const resumed = open(runId, 1).then((response) => readSse(response))
    await driver.succeed(runId, generation, null)
    expect(numbers(await resumed)).toEqual([2, 3])
  })

  test('the stream of a run that is removed meanwhile ends', async () => {
    const runId = await queuedRun()
    const reading = open(runId, null).then((response) => readSse(response))
    await until(() => fixture.gateway.logs.readers === 1)
    await fixture.database.pool.query('DELETE FROM runs WHERE id = $1', [runId])
    expect(numbers(await reading)).toEqual([1])
  })

  test('a client that never reads is dropped, and no more is read for it than it has room for', async () => {
    let taken = 0
    let left = false
    async function* endless(): AsyncGenerator<RunEvent[]> {
      try {
        for (;;) {
          taken++
          yield [
            {
              seq: taken,
              run_id: 'run_x',
              attempt: null,
              type: 'agent.delta',
              at: '',
              data: { text: 'x'.repeat(1000) },
            },
          ]
        }
      } finally {
        left = true
      }
    }
    const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
    const stream = eventStream({ open: endless, log, runId: 'run_x', onRefused: () => () => undefined, stuckMs: 20 })
    await until(() => left)
    expect(taken).toBeLessThan(100)
    await expect(stream.getReader().read()).rejects.toThrow('does not read')
  })

  test('HEAD leaves no reader behind', async () => {
    const runId = await queuedRun()
    const response = await fixture.gateway.app.request(`http://muster.test/v1/runs/${runId}/events`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${fixture.key}`, accept: 'text/event-stream' },
    })
    expect(response.status).toBe(200)
    await until(() => fixture.gateway.logs.readers === 0)
  })

  test('a slow client gets everything', async () => {
    const runId = await queuedRun()
    const generation = await driver.claim(runId)
    const text = 'x'.repeat(20_000)
    for (let batch = 0; batch < 5; batch++)
      await driver.say(
        runId,
        generation,
        Array.from({ length: 20 }, () => text),
      )
    await driver.succeed(runId, generation, 'done')
    const response = await open(runId, null)
    const events: SseEvent[] = await readSse(response)
    expect(numbers(events)).toEqual(upTo(103))
  })

  test('a number that is none is refused', async () => {
    const runId = await queuedRun()
    for (const id of ['x', '-1', '1.5', '99999999999'])
      expect(
        (await fixture.call('GET', `/v1/runs/${runId}/events`, { headers: { 'last-event-id': id } })).at(
          'errors.0.pointer',
        ),
      ).toBe('header/last-event-id')
    expect((await fixture.call('GET', `/v1/runs/${runId}/events?after=-1`)).at('errors.0.pointer')).toBe('query/after')
  })

  test('disconnects at random, 1,000 when proving, on two gateways, while the run goes on: no gap, no duplicate, the right order, 204 at the end', async () => {
    const random = randomFrom(seed())
    const runId = await queuedRun()
    const generation = await driver.claim(runId)
    const apps = [fixture.gateway, fixture.another()]
    const wanted = sized({ test: 200, prove: 1000 })
    const total = wanted * 2
    const writing = (async () => {
      let written = 2
      while (written < total - 1) {
        const texts = Array.from({ length: Math.min(1 + Math.floor(random() * 12), total - 1 - written) }, () => 'x')
        await driver.say(runId, generation, texts)
        if (random() < 0.7) await publish(runId, written)
        written += texts.length
      }
      await driver.succeed(runId, generation, 'done')
    })()
    const seen: number[] = []
    let disconnects = 0
    for (;;) {
      const app = apps[Math.floor(random() * apps.length)] ?? fixture.gateway
      const response = await open(runId, seen.at(-1) ?? null, app)
      if (response.status === 204) break
      const enough = disconnects < wanted ? Math.floor(random() * 4) : Number.POSITIVE_INFINITY
      // what arrived in the same piece as the last one wanted is thrown away, as a connection that breaks would
      const events = await readSse(response, (sofar) => sofar.length >= enough)
      seen.push(...numbers(events.slice(0, enough)))
      disconnects++
    }
    await writing
    expect(disconnects).toBeGreaterThanOrEqual(wanted)
    expect(seen).toEqual(upTo(total))
  }, 120_000)
})
