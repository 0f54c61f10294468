import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { type Fixture, openFixture, type Reply, replyOf } from './gateway-fixture.ts'

let fixture: Fixture
let driver: Driver
beforeAll(async () => {
  fixture = await openFixture()
  driver = await Driver.register(fixture.database)
})
afterAll(() => fixture.close())

const send = (body: object, headers: Record<string, string> = {}): Promise<Reply> =>
  fixture.call('POST', '/v1/commands', { body, headers })
const unique = (): string => randomBytes(8).toString('hex')
const countTasks = async (): Promise<number> =>
  Number((await fixture.test.query('select count(*) as n from tasks'))[0]?.['n'])

describe('accepting', () => {
  test('a command is there when it is answered: task, run and first event read back as they were told', async () => {
    const agent = await fixture.agent()
    const sent = await send({ agent: agent.key, message: 'hello', metadata: { a: [1, { b: null }] }, label: 'one' })
    expect(sent.status).toBe(202)
    expect(sent.headers.get('location')).toBe(`/v1/runs/${sent.textAt('run.id')}`)
    expect(sent.at('deduplicated')).toBe(false)
    expect(sent.body).not.toHaveProperty('session')
    const task = await fixture.call('GET', `/v1/tasks/${sent.textAt('task.id')}`)
    expect(task.at('task')).toEqual(sent.at('task'))
    const run = await fixture.call('GET', `/v1/runs/${sent.textAt('run.id')}`)
    expect(run.at('run')).toEqual(sent.at('run'))
    const events = await fixture.call('GET', `/v1/runs/${sent.textAt('run.id')}/events`)
    expect(events.at('data')).toMatchObject([{ seq: 1, type: 'run.queued', run_id: sent.textAt('run.id') }])
    expect(events.at('has_more')).toBe(false)
  })

  test('an agent is named by id or by key', async () => {
    const agent = await fixture.agent()
    const sent = await send({ agent: agent.id, message: '' })
    expect(sent.at('task.agent_key')).toBe(agent.key)
  })

  test('metadata comes back as it was sent, names that mean something to a program included', async () => {
    const agent = await fixture.agent()
    const raw = `{"agent":"${agent.key}","message":"m","metadata":{"__proto__":{"x":1},"constructor":2,"$type":"DateTime","value":"v","n":{"$type":"Raw","value":1}}}`
    const sent = await fixture.call('POST', '/v1/commands', { raw, headers: { 'content-type': 'application/json' } })
    expect(sent.status).toBe(202)
    const read = await fixture.call('GET', `/v1/tasks/${sent.textAt('task.id')}`)
    const list = await fixture.call('GET', '/v1/runs?limit=1')
    for (const reply of [sent, read, list])
      expect(reply.text).toMatch(
        /"metadata":\{(?=[^}]*\})(?=.*"__proto__":\{"x":1\})(?=.*"\$type":"DateTime")(?=.*"\$type":"Raw")(?=.*"constructor":2)/,
      )
  })

  test('a session is found or made by its key, and named in the answer', async () => {
    const agent = await fixture.agent()
    const first = await send({ agent: agent.key, message: '1', session_key: 'chat' })
    const second = await send({ agent: agent.key, message: '2', session_key: 'chat' })
    const third = await send({ agent: agent.key, message: '3', session_id: first.textAt('session.id') })
    expect(first.at('session')).toMatchObject({ key: 'chat', agent_id: agent.id, agent_key: agent.key })
    for (const reply of [second, third]) expect(reply.at('session')).toEqual(first.at('session'))
    const session = await fixture.call('GET', `/v1/sessions/${first.textAt('session.id')}`)
    expect(session.at('session')).toMatchObject({ key: 'chat', current_run_id: first.textAt('run.id'), waiting: 3 })
  })

  test('a session of another agent is 409, one that does not exist 404', async () => {
    const [one, other] = [await fixture.agent(), await fixture.agent()]
    const sent = await send({ agent: one.key, message: 'm', session_key: 's' })
    const mismatch = await send({ agent: other.key, message: 'm', session_id: sent.textAt('session.id') })
    expect([mismatch.status, mismatch.at('code')]).toEqual([409, 'session_mismatch'])
    const absent = await send({ agent: one.key, message: 'm', session_id: 'ses_01k00000000000000000000000' })
    expect([absent.status, absent.at('code')]).toEqual([404, 'session_not_found'])
  })

  test('an unknown agent is 404, an inactive one 409', async () => {
    const absent = await send({ agent: 'nobody', message: 'm' })
    expect([absent.status, absent.at('code')]).toEqual([404, 'agent_not_found'])
    const agent = await fixture.agent()
    await fixture.call('PATCH', `/v1/agents/${agent.key}`, { body: { active: false } })
    const inactive = await send({ agent: agent.key, message: 'm' })
    expect([inactive.status, inactive.at('code')]).toEqual([409, 'agent_inactive'])
  })

  test('a policy that the fleet cannot enforce is 422 with each field', async () => {
    const agent = await fixture.agent()
    const refused = await send({ agent: agent.key, message: 'm', policy: { ask: 'always', security: 'full' } })
    expect([refused.status, refused.at('code')]).toEqual([422, 'policy_unsupported'])
    expect(refused.at('errors')).toMatchObject([{ pointer: '/policy/ask' }, { pointer: '/policy/security' }])
  })
})

describe('idempotency', () => {
  test('the same key and body give the first task, whether the key comes in the header or in the body', async () => {
    const agent = await fixture.agent()
    const key = unique()
    const first = await send({ agent: agent.key, message: 'm', idempotency_key: key })
    const again = await send({ agent: agent.key, message: 'm' }, { 'idempotency-key': key })
    expect([first.status, again.status]).toEqual([202, 200])
    expect(again.at('deduplicated')).toBe(true)
    expect(again.at('task')).toEqual(first.at('task'))
    expect(again.headers.get('location')).toBe(first.headers.get('location'))
  })

  test('the same key with another body is 409, and nothing is made', async () => {
    const agent = await fixture.agent()
    const key = unique()
    await send({ agent: agent.key, message: 'm', idempotency_key: key })
    const before = await countTasks()
    const other = await send({ agent: agent.key, message: 'n', idempotency_key: key })
    expect([other.status, other.at('code')]).toEqual([409, 'idempotency_conflict'])
    expect(await countTasks()).toBe(before)
  })

  test('an agent that is made anew has none of the keys of the one before it', async () => {
    const first = await fixture.agent()
    const command = { agent: first.key, message: 'm', idempotency_key: 'again' }
    const old = await fixture.call('POST', '/v1/commands', { body: command })
    expect(old.status).toBe(202)
    await fixture.call('POST', `/v1/tasks/${old.textAt('task.id')}/cancel`, { body: {} })
    expect((await fixture.call('DELETE', `/v1/agents/${first.key}`)).status).toBe(204)
    expect((await fixture.call('POST', '/v1/commands', { body: command })).status).toBe(404)
    const config = { runner: 'process', command: ['/bin/cat'] }
    expect((await fixture.call('POST', '/v1/agents', { body: { key: first.key, config } })).status).toBe(201)
    const fresh = await fixture.call('POST', '/v1/commands', { body: command })
    expect(fresh.status).toBe(202)
    expect(fresh.at('task.id')).not.toBe(old.at('task.id'))
  })

  test('header and body that differ are refused; equal ones are one key', async () => {
    const agent = await fixture.agent()
    const key = unique()
    const body = { agent: agent.key, message: 'm', idempotency_key: key }
    const differ = await send(body, { 'idempotency-key': unique() })
    expect([differ.status, differ.at('errors.0.pointer')]).toEqual([400, '/idempotency_key'])
    expect((await send(body, { 'idempotency-key': key })).status).toBe(202)
  })

  test('a key beyond ASCII is one key in a header, as UTF-8, and in a body; other bytes are refused', async () => {
    const agent = await fixture.agent()
    const key = `clé \u{1f980} ${unique()}`
    const inHeader = Buffer.from(key).toString('latin1')
    const command = { agent: agent.key, message: 'm' }
    const first = await send(command, { 'idempotency-key': inHeader })
    const again = await send({ ...command, idempotency_key: key })
    expect([again.status, again.at('task.id')]).toEqual([200, first.at('task.id')])
    expect((await send({ ...command, idempotency_key: key }, { 'idempotency-key': inHeader })).status).toBe(200)
    const refused = await send(command, { 'idempotency-key': 'cl\u00e9' })
    expect([refused.status, refused.at('errors.0.pointer')]).toEqual([400, 'header/idempotency-key'])
  })

  test('one key from many clients over two gateways makes one task', async () => {
    const agent = await fixture.agent()
    const apps = [fixture.gateway.app, fixture.another().app]
    for (const key of [
      unique(),
      `'; drop table tasks; --${unique()}`,
      `\u{1f980}"\\/{}${unique()}`,
      ' '.repeat(200) + unique(),
      `__proto__${unique()}`,
    ]) {
      const replies = await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          const response = await apps[index % 2]?.request('http://muster.test/v1/commands', {
            method: 'POST',
            headers: { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' },
            body: JSON.stringify({ agent: agent.key, message: 'm', idempotency_key: key }),
          })
          const reply = response === undefined ? undefined : replyOf(response, await response.text())
          return { status: reply?.status, task: reply?.textAt('task.id'), deduplicated: reply?.at('deduplicated') }
        }),
      )
      expect(new Set(replies.map((reply) => reply.task)).size).toBe(1)
      expect(replies.filter((reply) => reply.status === 202 && reply.deduplicated === false)).toHaveLength(1)
      expect(replies.filter((reply) => reply.status === 200 && reply.deduplicated === true)).toHaveLength(49)
    }
  })
})

describe('Prefer: wait', () => {
  test('answers 200 with the output as soon as the run has ended', async () => {
    const agent = await fixture.agent()
    const waiting = send({ agent: agent.key, message: 'm', label: 'awaited' }, { prefer: 'respond-async, wait=60' })
    const runId = await expect
      .poll(async () => (await fixture.test.query(`select id from runs where label = 'awaited'`))[0]?.['id'])
      .toBeTypeOf('string')
      .then(async () => String((await fixture.test.query(`select id from runs where label = 'awaited'`))[0]?.['id']))
    await driver.succeed(runId, await driver.claim(runId), { answer: 42 })
    const reply = await waiting
    expect(reply.status).toBe(200)
    expect(reply.headers.get('preference-applied')).toBe('wait=60')
    expect(reply.at('run')).toMatchObject({ status: 'succeeded', output: { answer: 42 } })
    expect(reply.at('task')).toMatchObject({ status: 'completed', output: { answer: 42 } })
  })

  test('answers 202 when the time is over first; a longer wait than 60 s is shortened and said so', async () => {
    const agent = await fixture.agent()
    const reply = await send({ agent: agent.key, message: 'm' }, { prefer: 'wait=0' })
    expect([reply.status, reply.headers.get('preference-applied')]).toEqual([202, 'wait=0'])
    const { preferredWait } = await import('../src/http/preferred-wait.ts')
    expect(preferredWait('wait=3600')).toBe(60)
    expect(preferredWait('wait="5"; x=1, other')).toBe(5)
    for (const nothing of [null, '', 'respond-async', 'wait', 'wait=', 'wait=-1', 'wait=soon'])
      expect(preferredWait(nothing)).toBeNull()
  })
})
