import { randomBytes } from 'node:crypto'
import { until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { type Fixture, openFixture } from './gateway-fixture.ts'
import { readSse, type SseEvent } from './sse-reader.ts'

let fixture: Fixture
let driver: Driver
beforeAll(async () => {
  fixture = await openFixture()
  driver = await Driver.register(fixture.database)
})
afterAll(() => fixture.close())

const post = async (body: object, headers: Record<string, string> = {}): Promise<Response> =>
  fixture.gateway.app.request('http://muster.test/v1/commands', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${fixture.key}`,
      'content-type': 'application/json',
      accept: 'text/event-stream',
      ...headers,
    },
    body: JSON.stringify(body),
  })
const runIdOf = (response: Response): string => response.headers.get('location')?.split('/').at(-1) ?? ''
const types = (events: readonly SseEvent[]): string[] => events.map((event) => event.type)

test('a command is answered with what was accepted and then the events of its run, to the end', async () => {
  const agent = await fixture.agent()
  const response = await post({ agent: agent.key, message: 'm', session_key: 's' }, { prefer: 'wait=1' })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  expect(response.headers.has('preference-applied')).toBe(false)
  const runId = runIdOf(response)
  const reading = readSse(response)
  const generation = await driver.claim(runId)
  await driver.say(runId, generation, ['hello'])
  await driver.succeed(runId, generation, 42)
  const [opening, ...events] = await reading
  expect(opening).toMatchObject({
    type: 'command.accepted',
    data: { run: { id: runId, status: 'queued' }, session: { key: 's' }, deduplicated: false, agent_contract: {} },
  })
  expect(opening?.id).toBeNaN()
  expect(types(events)).toEqual(['run.queued', 'run.started', 'agent.delta', 'run.finished'])
  expect(events.map((event) => event.id)).toEqual([1, 2, 3, 4])
})

test('a client that lost the stream goes on where it was with GET', async () => {
  const agent = await fixture.agent()
  const response = await post({ agent: agent.key, message: 'm' })
  const runId = runIdOf(response)
  const generation = await driver.claim(runId)
  const first = await readSse(response, (events) => events.length === 3)
  await until(() => (fixture.gateway.logs.readers === 0 ? true : undefined), { deadlineMs: 5000, what: 'no reader' })
  await driver.succeed(runId, generation, 'done')
  const rest = await fixture.gateway.app.request(`http://muster.test/v1/runs/${runId}/events`, {
    headers: {
      authorization: `Bearer ${fixture.key}`,
      accept: 'text/event-stream',
      'last-event-id': String(first.at(-1)?.id),
    },
  })
  expect(types([...first.slice(1), ...(await readSse(rest))])).toEqual(['run.queued', 'run.started', 'run.finished'])
})

test('a repeated command streams the run that is known', async () => {
  const agent = await fixture.agent()
  const body = { agent: agent.key, message: 'm', idempotency_key: randomBytes(8).toString('hex') }
  const sent = await fixture.call('POST', '/v1/commands', { body })
  await driver.succeed(sent.textAt('run.id'), await driver.claim(sent.textAt('run.id')), 'done')
  const response = await post(body)
  expect([response.status, runIdOf(response)]).toEqual([200, sent.textAt('run.id')])
  const [opening, ...events] = await readSse(response)
  expect(opening?.data).toMatchObject({ deduplicated: true, run: { status: 'succeeded' } })
  expect(types(events)).toEqual(['run.queued', 'run.started', 'run.finished'])
})

test('a refused command is a problem, not a stream', async () => {
  const refused = await post({ agent: 'nobody', message: 'm' })
  expect([refused.status, refused.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
  const invalid = await post({ agent: 'nobody' })
  expect([invalid.status, invalid.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
})
