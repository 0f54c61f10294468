import { afterAll, beforeAll, expect, test } from 'vitest'
import { readBody } from '../src/http/read-body.ts'
import { type Fixture, openFixture, type Reply } from './gateway-fixture.ts'

let fixture: Fixture
let agentKey: string
beforeAll(async () => {
  fixture = await openFixture()
  agentKey = (await fixture.agent()).key
})
afterAll(() => fixture.close())

const JSON_TYPE = { 'content-type': 'application/json' }

const raw = (text: string): Promise<Reply> => fixture.call('POST', '/v1/commands', { raw: text, headers: JSON_TYPE })
const pointers = (reply: Reply): unknown[] => {
  const errors = reply.at('errors')
  return Array.isArray(errors) ? errors.map((error) => error.pointer) : []
}

test('a number in metadata too large to be kept is refused; the largest one is kept as it is', async () => {
  const send = (value: string): Promise<Reply> => raw(`{"agent":"${agentKey}","message":"m","metadata":${value}}`)
  for (const number of ['1e400', '-1e400', `${'9'.repeat(400)}`]) {
    const reply = await send(`{"a":[1,{"b":${number}}]}`)
    expect([number, reply.status, pointers(reply)]).toEqual([number, 400, ['/metadata/a/1/b']])
  }
  const kept = await send('{"a":1.7976931348623157e308}')
  const task = await fixture.call('GET', `/v1/tasks/${kept.textAt('task.id')}`)
  expect(task.at('task.metadata')).toEqual({ a: Number.MAX_VALUE })
})

test('an integer that would lose digits is refused wherever it stands; the largest safe ones and long fractions are kept', async () => {
  const send = (value: string): Promise<Reply> => raw(`{"agent":"${agentKey}","message":"m","metadata":${value}}`)
  for (const number of ['9007199254740993', '-12345678901234567890']) {
    const reply = await send(`{"a":[1,{"b":${number}}]}`)
    expect([number, reply.status, pointers(reply)]).toEqual([number, 400, ['/metadata/a/1/b']])
  }
  const elsewhere = await raw(`{"agent":"${agentKey}","message":"m","priority":12345678901234567890}`)
  expect([elsewhere.status, pointers(elsewhere)]).toEqual([400, ['/priority']])
  const batch = await fixture.call('POST', '/v1/commands/batch', {
    raw: `{"commands":[{"agent":"${agentKey}","message":"m","metadata":{"id":12345678901234567890}}]}`,
    headers: JSON_TYPE,
  })
  expect([batch.status, batch.at('results.0.status'), batch.at('results.0.errors.0.pointer')]).toEqual([
    200,
    400,
    '/commands/0/metadata/id',
  ])
  const deep = await raw(`{"a":1234567890123456789,"b":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
  expect([deep.status, deep.at('code')]).toEqual([400, 'invalid_request'])
  const kept = await send('{"a":9007199254740991,"b":0.1234567890123456,"c":"12345678901234567890","d":1e20}')
  const task = await fixture.call('GET', `/v1/tasks/${kept.textAt('task.id')}`)
  expect(task.at('task.metadata')).toEqual({
    a: Number.MAX_SAFE_INTEGER,
    b: 0.1234567890123456,
    c: '12345678901234567890',
    d: 1e20,
  })
})

test('more than 1,000 lanes with settings of their own are refused, at once or one after another', async () => {
  const lanes = (from: number, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, k) => [`lane-${from + k}`, { weight: 2 }]))
  const made = { key: 'many-lanes', config: { runner: 'process', command: ['/bin/cat'] } }
  const tooMany = await fixture.call('POST', '/v1/agents', { body: { ...made, limits: { lanes: lanes(0, 1001) } } })
  expect([tooMany.status, pointers(tooMany)]).toEqual([400, ['/limits/lanes']])
  const whole = await fixture.call('POST', '/v1/agents', { body: { ...made, limits: { lanes: lanes(0, 1000) } } })
  expect(whole.status).toBe(201)
  const oneMore = await fixture.call('PATCH', '/v1/agents/many-lanes', {
    body: { limits: { lanes: lanes(1000, 1) } },
  })
  expect([oneMore.status, pointers(oneMore)]).toEqual([400, ['/limits/lanes']])
  const known = await fixture.call('PATCH', '/v1/agents/many-lanes', { body: { limits: { lanes: lanes(999, 1) } } })
  expect(known.status).toBe(200)
})

test('a body that breaks off is the fault of who sent it, in chunks too', async () => {
  const body = new ReadableStream({
    pull(controller) {
      controller.error(new Error('aborted'))
    },
  })
  const request = new Request('http://muster.test/', { method: 'POST', headers: JSON_TYPE, body, duplex: 'half' })
  await expect(readBody(request, 1000)).rejects.toMatchObject({ code: 'invalid_request' })
})
