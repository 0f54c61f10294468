import { ROUTES } from '@muster/contracts'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADMIN_TOKEN, type CallOptions, type Fixture, openFixture, type Reply } from './gateway-fixture.ts'

let fixture: Fixture
let agentKey: string
beforeAll(async () => {
  fixture = await openFixture()
  agentKey = (await fixture.agent()).key
})
afterAll(() => fixture.close())

const JSON_TYPE = { 'content-type': 'application/json' }

const post = (body: unknown, options: CallOptions = {}): Promise<Reply> =>
  fixture.call('POST', '/v1/commands', { body, ...options })
const raw = (text: string, headers: Record<string, string> = JSON_TYPE): Promise<Reply> =>
  fixture.call('POST', '/v1/commands', { raw: text, headers })
const pointers = (reply: Reply): unknown[] => {
  const errors = reply.at('errors')
  return Array.isArray(errors) ? errors.map((error) => error.pointer) : []
}

describe('a fault is named at its place', () => {
  const cases: readonly [string, (key: string) => object, readonly string[]][] = [
    ['a wrong type', () => ({ message: 5 }), ['/message']],
    ['a missing field', () => ({ message: undefined }), ['/message']],
    ['an unknown field', () => ({ mesage: 'x' }), ['/mesage']],
    ['an unknown field deep inside', () => ({ policy: { resources: { gpu: 1 } } }), ['/policy/resources/gpu']],
    [
      'unknown values',
      () => ({ policy: { security: 'most', runtime_type: 'docker' } }),
      ['/policy/security', '/policy/runtime_type'],
    ],
    ['a name with / and ~', () => ({ 'a/b~c': 1 }), ['/a~1b~0c']],
    ['NUL in text', () => ({ message: 'a\0b' }), ['/message']],
    ['a lone surrogate', () => ({ message: '\ud800' }), ['/message']],
    ['NUL inside metadata', () => ({ metadata: { a: ['x', 'y\0'] } }), ['/metadata/a/1']],
    ['a lone surrogate in a name inside metadata', () => ({ metadata: { a: { '\udc00': 1 } } }), ['/metadata/a']],
    [
      'two ways to name one thing',
      () => ({ session_key: 's', session_id: 'ses_01k00000000000000000000000' }),
      ['/session_key'],
    ],
    ['both delay and time', () => ({ delay_ms: 1, not_before: '2030-01-01T00:00:00Z' }), ['/delay_ms']],
    ['a priority that is none', () => ({ priority: 'soon' }), ['/priority']],
    ['a priority out of bounds', () => ({ priority: 101 }), ['/priority']],
    ['an agent that cannot be a name', () => ({ agent: 'Not A Key' }), ['/agent']],
    ['an empty key', () => ({ idempotency_key: '' }), ['/idempotency_key']],
    ['a key of 256 characters', () => ({ session_key: 'x'.repeat(256) }), ['/session_key']],
    ['no time', () => ({ not_before: 'tomorrow' }), ['/not_before']],
    ['a time before the year 1', () => ({ not_before: '0000-01-01T00:00:00Z' }), ['/not_before']],
    ['a time after the year 9999', () => ({ expires_at: '9999-12-31T23:59:59-01:00' }), ['/expires_at']],
    ['an offset that no place has', () => ({ not_before: '2030-01-01T00:00:00+23:59' }), ['/not_before']],
  ]
  for (const [name, change, expected] of cases)
    test(name, async () => {
      const reply = await post({ agent: agentKey, message: 'm', ...change(agentKey) })
      expect([reply.status, reply.at('code')]).toEqual([400, 'invalid_request'])
      expect(pointers(reply)).toEqual(expected)
    })

  test('__proto__ is an unknown field like any other', async () => {
    const reply = await raw(`{"agent":"${agentKey}","message":"m","__proto__":{"priority":100}}`)
    expect([reply.status, pointers(reply)]).toEqual([400, ['/__proto__']])
    const deep = await raw(`{"agent":"${agentKey}","message":"m","policy":{"\\u005f_proto__":{}}}`)
    expect([deep.status, pointers(deep)]).toEqual([400, ['/policy/__proto__']])
  })

  test('a lane called __proto__ is refused like any other bad name', async () => {
    const limits = '"limits":{"lanes":{"__proto__":{"concurrency":1},"main":{}}}'
    const made = `{"key":"proto-lane","config":{"runner":"process","command":["/bin/cat"]},${limits}}`
    for (const [method, path, text] of [
      ['POST', '/v1/agents', made],
      ['PATCH', `/v1/agents/${agentKey}`, `{${limits}}`],
    ] as const) {
      const reply = await fixture.call(method, path, { raw: text, headers: JSON_TYPE })
      const bad = await fixture.call(method, path, { raw: text.replace('__proto__', 'A B'), headers: JSON_TYPE })
      expect([reply.status, pointers(reply)]).toEqual([400, ['/limits/lanes/__proto__']])
      expect([bad.status, reply.at('errors.0.detail')]).toEqual([400, bad.at('errors.0.detail')])
    }
  })

  test('metadata that nests too deep', async () => {
    const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`
    const reply = await raw(`{"agent":"${agentKey}","message":"m","metadata":{"a":${deep}}}`)
    expect(reply.status).toBe(400)
    const elsewhere = await raw(`{"agent":${deep},"message":"m"}`)
    expect([elsewhere.status, pointers(elsewhere)]).toEqual([400, ['/agent']])
  })

  test('thousands of faults give a bounded answer', async () => {
    const reply = await raw(`{${Array.from({ length: 20_000 }, (_, index) => `"f${index}":1`).join(',')}}`)
    expect(reply.status).toBe(400)
    expect(reply.text.length).toBeLessThan(50_000)
  })

  test('a body that is no object', async () => {
    for (const text of ['null', '[]', '"x"', '1', 'true']) {
      const reply = await raw(text)
      expect([reply.status, pointers(reply)]).toEqual([400, ['']])
    }
  })

  test('query parameters: wrong, unknown, twice, not a cursor', async () => {
    const cases: readonly [string, string][] = [
      ['limit=0', 'query/limit'],
      ['limit=x', 'query/limit'],
      ['limit=201', 'query/limit'],
      ['limit=0x10', 'query/limit'],
      ['limit=1e2', 'query/limit'],
      ['limit=%2010%20', 'query/limit'],
      ['limit=1.0', 'query/limit'],
      ['limit=', 'query/limit'],
      ['colour=red', 'query/colour'],
      ['limit=1&limit=2', 'query/limit'],
      ['status=lost', 'query/status'],
      ['cursor=abc', 'query/cursor'],
      ['cursor=%00', 'query/cursor'],
      ['label=%00', 'query/label'],
      ['agent=%2e%2e%2f', 'query/agent'],
      ['created_after=yesterday', 'query/created_after'],
      ['__proto__=1', 'query/__proto__'],
    ]
    for (const [query, pointer] of cases) {
      const reply = await fixture.call('GET', `/v1/tasks?${query}`)
      expect([query, reply.status, ...pointers(reply)]).toEqual([query, 400, pointer])
    }
  })

  test('a limit in any but decimal digits, on every list', async () => {
    const sent = await post({ agent: agentKey, message: 'm' })
    const lists = ['/v1/runs', `/v1/runs/${sent.at('run.id')}/events`, `/v1/tasks/${sent.at('task.id')}/logs`]
    for (const list of lists) {
      expect((await fixture.call('GET', `${list}?limit=10`)).status).toBe(200)
      const reply = await fixture.call('GET', `${list}?limit=0x10`)
      expect([list, reply.status, pointers(reply)]).toEqual([list, 400, ['query/limit']])
    }
  })

  test('headers: an idempotency key that is empty or too long', async () => {
    for (const key of ['', 'x'.repeat(256)]) {
      const reply = await post({ agent: agentKey, message: 'm' }, { headers: { ...JSON_TYPE, 'idempotency-key': key } })
      expect([reply.status, pointers(reply)]).toEqual([400, ['header/idempotency-key']])
    }
  })
})

describe('a body that cannot be read', () => {
  test('malformed JSON is told with line and column', async () => {
    const cases: readonly [string, number, number][] = [
      ['{', 1, 2],
      ['{"a":1,}', 1, 8],
      ['{"a" 1}', 1, 6],
      ['{"a":\n  tru}', 2, 3],
      ['[1 2]', 1, 4],
      ['{"a":1}x', 1, 8],
      ['{"a":"\t"}', 1, 6],
      ["{'a':1}", 1, 2],
      ['{"a":01}', 1, 7],
    ]
    for (const [text, line, column] of cases) {
      const reply = await raw(text)
      expect([text, reply.status, reply.at('errors.0.detail')]).toEqual([
        text,
        400,
        `malformed JSON at line ${line}, column ${column}`,
      ])
    }
  })

  test('the place that is told is within the text, whatever the text', () => {
    return fc.assert(
      fc.asyncProperty(fc.string({ unit: fc.constantFrom(...'{}[],:"\\ \n01-.eEtruefalsnu') }), async (text) => {
        fc.pre(!isJson(text) && text !== '')
        const { jsonFaultAt } = await import('../src/http/json-fault-at.ts')
        const { line, column } = jsonFaultAt(text)
        expect(line).toBeLessThanOrEqual(text.split('\n').length)
        expect(column).toBeGreaterThan(0)
      }),
    )
  })

  test('bytes that are not UTF-8', async () => {
    const bytes = new Uint8Array([
      ...new TextEncoder().encode('{"message":"'),
      0xff,
      0xfe,
      ...new TextEncoder().encode('"}'),
    ])
    const reply = await fixture.call('POST', '/v1/commands', { raw: bytes, headers: JSON_TYPE })
    expect([reply.status, reply.at('errors.0.detail')]).toEqual([400, 'not valid UTF-8'])
  })

  test('another media type is 415, parameters of JSON are not', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonp',
    ])
      expect((await raw('{}', { 'content-type': type })).status).toBe(415)
    expect((await raw('{}', { 'content-type': 'application/json; charset=utf-8' })).status).toBe(400)
    expect((await raw('{}', { 'content-type': 'application/vnd.api+json' })).status).toBe(400)
  })

  test('an encoded body is 415', async () => {
    for (const encoding of ['gzip', 'br', 'gzip, identity'])
      expect((await raw('{}', { ...JSON_TYPE, 'content-encoding': encoding })).status).toBe(415)
    expect((await raw('{}', { ...JSON_TYPE, 'content-encoding': 'identity' })).status).toBe(400)
  })

  test('more than 1 MiB is 413, announced or not', async () => {
    const huge = JSON.stringify({ agent: agentKey, message: 'x'.repeat(1_100_000) })
    expect((await raw(huge)).status).toBe(413)
    expect((await raw('{}', { ...JSON_TYPE, 'content-length': '1048577' })).status).toBe(413)
    let pulled = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++
        controller.enqueue(new Uint8Array(65_536).fill(32))
      },
    })
    expect((await fixture.call('POST', '/v1/commands', { raw: endless, headers: JSON_TYPE })).status).toBe(413)
    expect(pulled).toBeLessThan(30)
  })

  test('a change that takes no fields refuses what it is sent, and does nothing', async () => {
    const task = (await post({ agent: agentKey, message: 'm' })).textAt('task.id')
    await fixture.call('POST', `/v1/tasks/${task}/cancel`)
    const archive = (text: string): Promise<Reply> =>
      fixture.call('POST', `/v1/tasks/${task}/archive`, { raw: text, headers: JSON_TYPE })
    for (const [text, pointer] of [
      ['{"foo":1}', '/foo'],
      ['{', ''],
      ['[]', ''],
    ] as const) {
      const reply = await archive(text)
      expect([text, reply.status, pointers(reply)]).toEqual([text, 400, [pointer]])
    }
    expect((await fixture.call('GET', `/v1/tasks/${task}`)).at('task.archived_at')).toBeNull()
    for (const text of ['{}', '']) expect((await archive(text)).status).toBe(200)
    const requeue = await fixture.call('POST', `/v1/tasks/${task}/requeue`, { body: { foo: 1 } })
    expect([requeue.status, pointers(requeue)]).toEqual([400, ['/foo']])
  })

  test('every route that changes something by POST or PATCH reads its body', () => {
    const unread = Object.values(ROUTES).filter(({ method, body }) => /^P/.test(method) && body === null)
    expect(unread.map(({ operationId }) => operationId)).toEqual([])
  })

  test('an empty body stands for {}', async () => {
    const reply = await fixture.call('POST', '/v1/commands', {})
    expect([reply.status, pointers(reply)]).toEqual([400, ['/agent', '/message']])
  })
})

describe('a place that is not there', () => {
  test('an unknown path is 404, another method 405 with those that are allowed', async () => {
    for (const path of ['/', '/v1', '/v2/tasks', '/v1/tasks/', '/v1/commands/x', '/V1/TASKS']) {
      const reply = await fixture.call('GET', path, { key: null })
      expect([path, reply.status, reply.at('code')]).toEqual([path, 404, 'route_not_found'])
    }
    const reply = await fixture.call('DELETE', '/v1/commands')
    expect([reply.status, reply.at('code'), reply.headers.get('allow')]).toEqual([405, 'wrong_method', 'POST'])
    expect((await fixture.call('PUT', '/v1/agents/x')).headers.get('allow')).toBe('GET, PATCH, DELETE, HEAD')
  })

  test('another method is 405 on pages, metrics and the board too, where a file that is not there stays 404', async () => {
    for (const path of ['/docs', '/metrics', '/openapi.json', '/livez', '/.well-known/agent.json']) {
      const reply = await fixture.call('POST', path, { key: null })
      expect([path, reply.status, reply.headers.get('allow')]).toEqual([path, 405, 'GET, HEAD'])
    }
    const authorization = `Basic ${Buffer.from(`ops:${ADMIN_TOKEN}`).toString('base64')}`
    const board = (method: string, path: string): Promise<Reply> =>
      fixture.call(method, `/admin/queues/${path}`, { key: null, headers: { authorization } })
    const search = await board('DELETE', 'search')
    expect([search.status, search.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    expect((await board('GET', 'static/no-such-file.js')).status).toBe(404)
  })

  test('hostile ids are 404', async () => {
    for (const id of [
      'x',
      '%00',
      '%ff',
      '..%2f..%2fetc',
      '__proto__',
      'constructor',
      'run_01k0000000000000000000000%00',
      'x'.repeat(5000),
      '%F0%9F%A6%80',
      "1'--",
    ])
      for (const path of [
        `/v1/tasks/${id}`,
        `/v1/runs/${id}`,
        `/v1/runs/${id}/events`,
        `/v1/sessions/${id}`,
        `/v1/agents/${id}`,
      ])
        expect([path, (await fixture.call('GET', path)).status]).toEqual([path, 404])
  })
})

test('no JSON whatever makes POST /v1/commands fail with 500', async () => {
  const leaf = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('\0', '\ud800', '', agentKey, -1, 1e308, '9999-12-31T23:59:59Z', '0001-01-01T00:00:00+15:59'),
  )
  const body = fc.record(
    {
      agent: fc.oneof({ weight: 5, arbitrary: fc.constant(agentKey) }, { weight: 1, arbitrary: leaf }),
      message: fc.oneof(fc.string(), fc.string({ unit: 'binary' }), leaf),
      session_key: fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), leaf),
      lane: fc.oneof(fc.constant('main'), leaf),
      policy: leaf,
      timeout_ms: fc.oneof(fc.nat(), leaf),
      idempotency_key: fc.oneof(fc.string({ unit: 'grapheme', minLength: 1 }), leaf),
      priority: fc.oneof(fc.integer({ min: 0, max: 100 }), leaf),
      not_before: fc.oneof(
        fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
        leaf,
      ),
      ttl_ms: fc.oneof(fc.nat(), leaf),
      label: fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), leaf),
      metadata: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), leaf),
    },
    { requiredKeys: [] },
  )
  await fc.assert(
    fc.asyncProperty(fc.oneof(body, fc.jsonValue()), async (value) => {
      const reply = await post(value)
      expect([JSON.stringify(value), reply.status < 500]).toEqual([JSON.stringify(value), true])
    }),
    { numRuns: 300 },
  )
}, 60_000)

test('nothing that was refused has changed anything', async () => {
  const refused = await openFixture()
  try {
    const { key } = await refused.agent()
    const rows = async (): Promise<unknown> =>
      refused.test.query(
        'select (select count(*) from tasks) as t, (select count(*) from sessions) as s, (select count(*) from agents) as a, (select count(*) from classes) as c',
      )
    const first = await rows()
    for (const change of [
      { message: 1 },
      { extra: 1 },
      { session_key: 's', priority: 1000 },
      { session_key: 's', policy: { ask: 'always' } },
    ])
      expect(
        (await refused.call('POST', '/v1/commands', { body: { agent: key, message: 'm', ...change } })).status,
      ).toBeGreaterThanOrEqual(400)
    await refused.call('PATCH', `/v1/agents/${key}`, { body: { paused: true, colour: 1 } })
    expect(await rows()).toEqual(first)
    expect((await refused.call('GET', `/v1/agents/${key}`)).at('agent.paused')).toBe(false)
  } finally {
    await refused.close()
  }
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
