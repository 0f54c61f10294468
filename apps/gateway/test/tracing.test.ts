import { NO_TRACING, parseTraceparent, startTracing } from '@muster/runtime'
import { MIGRATIONS_FOLDER, otlpReceiver } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from '../src/build-app.ts'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
let fixture: Fixture
let agent: { key: string }
beforeAll(async () => {
  fixture = await openFixture()
  agent = await fixture.agent()
})
afterAll(() => fixture.close())

const kept = async (runId: string): Promise<string | null> =>
  (await fixture.database.pool.query('SELECT traceparent FROM runs WHERE id = $1', [runId])).rows[0]?.traceparent
const body = () => ({ agent: agent.key, message: 'hello' })

test('a request is a span of the trace it came with, and the run keeps that span', async () => {
  const receiver = await otlpReceiver()
  const { database, gate } = fixture
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const tracing = await startTracing({ endpoint: receiver.url, service: 'muster-gateway' })
  const gateway = buildApp({
    engine: { database, gate, log },
    adminToken: ADMIN_TOKEN,
    migrationsDir: MIGRATIONS_FOLDER,
    tracing,
  })
  const answer = await gateway.app.request('/v1/commands', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${fixture.key}`,
      'content-type': 'application/json',
      traceparent: `00-${TRACE}-00f067aa0ba902b7-01`,
    },
    body: JSON.stringify(body()),
  })
  expect(answer.status).toBe(202)
  const runId = answer.headers.get('location')?.replace('/v1/runs/', '') ?? ''
  gateway.drain()
  await gateway.settled()
  await tracing.close()
  const [span] = receiver.spans
  expect(span).toMatchObject({ name: 'POST /v1/commands', traceId: TRACE, parentSpanId: '00f067aa0ba902b7', kind: 2 })
  expect(span?.attributes).toContainEqual({ key: 'muster.run_id', value: { stringValue: runId } })
  expect(await kept(runId)).toBe(`00-${TRACE}-${span?.spanId}-01`)
  receiver.close()
})

test('without tracing the trace of the client is kept, and what is no trace is ignored', async () => {
  const send = async (traceparent: string) =>
    kept((await fixture.call('POST', '/v1/commands', { body: body(), headers: { traceparent } })).textAt('run.id'))
  expect(await send(`00-${TRACE}-00f067aa0ba902b7-00`)).toBe(`00-${TRACE}-00f067aa0ba902b7-00`)
  for (const wrong of [
    `01-${TRACE}-00f067aa0ba902b7-01`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    'x',
    `00-${TRACE}-00f067aa0ba902b7`,
  ])
    expect(await send(wrong)).toBeNull()
  expect(parseTraceparent(`00-${TRACE}-${'0'.repeat(16)}-01`)).toBeNull()
  expect(NO_TRACING.begin('x', { kind: 'server', parent: null, attributes: {} }).traceparent).toBeNull()
})
