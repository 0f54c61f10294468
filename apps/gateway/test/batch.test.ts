import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Fixture, openFixture, type Reply } from './gateway-fixture.ts'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

const send = (commands: readonly unknown[], secret = fixture.key): Promise<Reply> =>
  fixture.call('POST', '/v1/commands/batch', { body: { commands }, key: secret })
const unique = (): string => randomBytes(8).toString('hex')
const results = (reply: Reply) => z.array(z.record(z.string(), z.unknown())).parse(reply.at('results'))
const count = async (what: string): Promise<number> =>
  Number((await fixture.test.query(`select count(*) as n from ${what}`))[0]?.['n'])

/** How often Postgres is asked while something is done. */
async function questions(work: () => Promise<unknown>): Promise<number> {
  let asked = 0
  const note = (): void => void asked++
  fixture.database.pool.on('acquire', note)
  try {
    await work()
  } finally {
    fixture.database.pool.off('acquire', note)
  }
  return asked
}

describe('a batch', () => {
  test('answers each command as it would have been by itself, in order', async () => {
    const agent = await fixture.agent()
    const sent = await send([
      { agent: agent.key, message: 'one', session_key: 's' },
      { agent: agent.key, message: 'two', label: 'b' },
    ])
    expect(sent.status).toBe(200)
    const [one, two] = results(sent)
    expect(one).toMatchObject({ outcome: 'accepted', status: 202, deduplicated: false, session: { key: 's' } })
    expect(one?.['agent_contract']).toMatchObject({ next_actions: [{ action: 'check_task_status' }, {}, {}] })
    expect(two).toMatchObject({ outcome: 'accepted', run: { message: 'two', label: 'b' } })
    for (const index of [0, 1]) {
      expect((await fixture.call('GET', sent.textAt(`results.${index}.location`))).at('run')).toEqual(
        sent.at(`results.${index}.run`),
      )
      const task = await fixture.call('GET', `/v1/tasks/${sent.textAt(`results.${index}.task.id`)}`)
      expect(task.at('task')).toEqual(sent.at(`results.${index}.task`))
    }
  })

  test('refuses a command by itself, with the places of its faults in the whole body', async () => {
    const agent = await fixture.agent()
    const sent = await send([
      { agent: agent.key, message: 1, 'sur/prise': true },
      { agent: 'nobody', message: 'm' },
      'no command',
      { agent: agent.key, message: 'm', policy: { ask: 'always' } },
      { agent: agent.key, message: 'nul \0' },
      { agent: agent.key, message: 'm', session_id: 'ses_01k00000000000000000000000' },
      { agent: agent.key, message: 'good' },
    ])
    expect(sent.status).toBe(200)
    expect(results(sent).map((one) => [one['outcome'], one['status'], one['code']])).toEqual([
      ['refused', 400, 'invalid_request'],
      ['refused', 404, 'agent_not_found'],
      ['refused', 400, 'invalid_request'],
      ['refused', 422, 'policy_unsupported'],
      ['refused', 400, 'invalid_request'],
      ['refused', 404, 'session_not_found'],
      ['accepted', 202, undefined],
    ])
    expect(sent.at('results.0.errors')).toMatchObject([
      { pointer: '/commands/0/message' },
      { pointer: '/commands/0/sur~1prise' },
    ])
    expect(sent.at('results.2.errors.0.pointer')).toBe('/commands/2')
    expect(sent.at('results.3.errors.0.pointer')).toBe('/commands/3/policy/ask')
    expect(sent.at('results.4.errors.0.pointer')).toBe('/commands/4/message')
    expect(sent.at('results.0.request_id')).toBe(sent.headers.get('x-request-id'))
  })

  test('is refused whole when it is no batch, and changes nothing', async () => {
    const agent = await fixture.agent()
    const before = await count('tasks')
    const good = { agent: agent.key, message: 'm' }
    const refuse = async (body: unknown, headers = {}): Promise<unknown> => {
      const reply = await fixture.call('POST', '/v1/commands/batch', { body, headers })
      expect(reply.status).toBe(400)
      return reply.at('errors.0.pointer')
    }
    expect(await refuse({ commands: [] })).toBe('/commands')
    expect(await refuse({ commands: Array.from({ length: 501 }, () => good) })).toBe('/commands')
    expect(await refuse({ commands: good })).toBe('/commands')
    expect(await refuse({ commands: [good], more: 1 })).toBe('/more')
    expect(await refuse([good])).toBe('')
    expect(await refuse({ commands: [good] }, { 'idempotency-key': 'k' })).toBe('header/idempotency-key')
    expect(await count('tasks')).toBe(before)
  })

  test('may be 8 MiB large, each command 1 MiB; other routes stay at 1 MiB', async () => {
    const agent = await fixture.agent()
    const message = 'x'.repeat(500_000)
    const large = await send([
      ...Array.from({ length: 12 }, () => ({ agent: agent.key, message })),
      { agent: agent.key, message: 'm', metadata: { much: 'x'.repeat(1_048_576) } },
    ])
    expect(results(large).map((one) => one['status'])).toEqual([...Array.from({ length: 12 }, () => 202), 413])
    expect(large.at('results.12')).toMatchObject({ code: 'payload_too_large', errors: [{ pointer: '/commands/12' }] })
    const tooLarge = await send(Array.from({ length: 18 }, () => ({ agent: agent.key, message })))
    expect([tooLarge.status, tooLarge.at('code')]).toEqual([413, 'payload_too_large'])
    const single = { agent: agent.key, message, metadata: { much: 'x'.repeat(700_000) } }
    expect((await fixture.call('POST', '/v1/commands', { body: single })).status).toBe(413)
  })

  test('of 500 commands is a handful of statements, the first time and when it is repeated', async () => {
    const agent = await fixture.agent()
    const commands = Array.from({ length: 500 }, (_, index) => ({
      agent: agent.key,
      message: String(index),
      lane: `lane${index % 50}`,
      session_key: `s${index % 20}`,
      idempotency_key: unique(),
    }))
    await send([{ agent: agent.key, message: 'known' }])
    let first: Reply | undefined
    expect(
      await questions(async () => {
        first = await send(commands)
        await fixture.gateway.settled()
      }),
    ).toBeLessThanOrEqual(20)
    expect(results(first ?? (await send([]))).every((one) => one['outcome'] === 'accepted')).toBe(true)
    let again: Reply | undefined
    expect(
      await questions(async () => {
        again = await send(commands)
      }),
    ).toBeLessThanOrEqual(20)
    for (let index = 0; index < 500; index += 1) {
      expect(again?.at(`results.${index}`)).toMatchObject({ outcome: 'deduplicated', status: 200, deduplicated: true })
      expect(again?.at(`results.${index}.task.id`)).toBe(first?.at(`results.${index}.task.id`))
      expect(again?.at(`results.${index}.session`)).toEqual(first?.at(`results.${index}.session`))
    }
  })

  test('to many agents, known and unknown, is a handful too', async () => {
    const agents = await Promise.all(Array.from({ length: 30 }, () => fixture.agent()))
    const commands = Array.from({ length: 500 }, (_, index) => {
      const agent = agents[index % 50]
      return { agent: (index % 100 < 50 ? agent?.key : agent?.id) ?? `nobody${index}`, message: 'm' }
    })
    let sent: Reply | undefined
    expect(
      await questions(async () => {
        sent = await send(commands)
        await fixture.gateway.settled()
      }),
    ).toBeLessThanOrEqual(30)
    const outcomes = commands.map((_, index) => sent?.at(`results.${index}.status`))
    expect(outcomes).toEqual(commands.map((_, index) => (index % 50 < 30 ? 202 : 404)))
  })

  test('keeps the order of its commands in every session', async () => {
    const agent = await fixture.agent()
    const sent = await send(
      Array.from({ length: 400 }, (_, index) => ({
        agent: index % 2 === 0 ? agent.key : agent.id,
        message: String(index),
        session_key: `order${index % 3}`,
      })),
    )
    expect(results(sent).every((one) => one['outcome'] === 'accepted')).toBe(true)
    const rows = await fixture.test.query(
      `select r.message, s.key from runs r join sessions s on s.id = r.session_id where r.agent_id = $1 order by r.session_order`,
      [agent.id],
    )
    for (const key of ['order0', 'order1', 'order2']) {
      const numbers = rows.filter((row) => row['key'] === key).map((row) => Number(row['message']))
      expect(numbers).toEqual(numbers.toSorted((one, other) => one - other))
      expect(numbers.length).toBeGreaterThan(130)
    }
  })

  test('keeps that order when its agent has changed meanwhile', async () => {
    const agent = await fixture.agent()
    const other = fixture.another()
    const body = JSON.stringify({ agent: agent.key, message: 'm' })
    const headers = { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' }
    expect((await other.app.request('http://muster.test/v1/commands', { method: 'POST', headers, body })).status).toBe(
      202,
    )
    await fixture.call('PATCH', `/v1/agents/${agent.key}`, { body: { config: { env: { CHANGED: '1' } } } })
    const commands = Array.from({ length: 40 }, (_, index) => ({
      // the other gateway knows the old agent by its key, and learns the new one by its id
      agent: index % 2 === 0 ? agent.key : agent.id,
      message: String(index),
      session_key: 'changing',
    }))
    const response = await other.app.request('http://muster.test/v1/commands/batch', {
      method: 'POST',
      headers,
      body: JSON.stringify({ commands }),
    })
    expect(response.status).toBe(200)
    const rows = await fixture.test.query(
      `select r.message, r.agent_version from runs r join sessions s on s.id = r.session_id and s.key = 'changing'
        where r.agent_id = $1 order by r.session_order`,
      [agent.id],
    )
    expect(rows.map((row) => [row['message'], row['agent_version']])).toEqual(
      commands.map((command) => [command.message, 2]),
    )
  })
})

describe('idempotency in a batch', () => {
  test('the second of two commands with one key is the first again, or a conflict', async () => {
    const agent = await fixture.agent()
    const key = unique()
    const sent = await send([
      { agent: agent.key, message: 'm', idempotency_key: key },
      { agent: agent.id, message: 'm', idempotency_key: key },
      { agent: agent.key, message: 'n', idempotency_key: key },
    ])
    expect(sent.at('results.0.outcome')).toBe('accepted')
    expect(sent.at('results.1')).toMatchObject({ outcome: 'deduplicated', status: 200, deduplicated: true })
    expect(sent.at('results.1.task.id')).toBe(sent.at('results.0.task.id'))
    expect(sent.at('results.2')).toMatchObject({ status: 409, code: 'idempotency_conflict' })
    const single = await fixture.call('POST', '/v1/commands', {
      body: { agent: agent.key, message: 'm', idempotency_key: key },
    })
    expect([single.status, single.at('task.id')]).toEqual([200, sent.at('results.0.task.id')])
  })

  test('a command that was refused holds no key: one behind it is answered as it would have been by itself', async () => {
    const agent = await fixture.agent()
    const key = unique()
    const absent = {
      agent: agent.key,
      message: 'one',
      idempotency_key: key,
      session_id: 'ses_7zzzzzzzzzzzzzzzzzzzzzzzzz',
    }
    const one = { agent: agent.key, message: 'one', idempotency_key: key }
    const two = { agent: agent.key, message: 'two', idempotency_key: key }
    expect(results(await send([absent, one, one, two])).map(({ status }) => status)).toEqual([404, 202, 200, 409])
    expect(results(await send([two, one, absent])).map(({ status }) => status)).toEqual([409, 200, 409])
    await fixture.call('PATCH', `/v1/agents/${agent.key}`, { body: { limits: { max_waiting: 1 } } })
    const fresh = { ...one, idempotency_key: unique() }
    expect(results(await send([fresh, one, fresh])).map(({ status }) => status)).toEqual([429, 200, 429])
  })

  test('a key of another agent is another key', async () => {
    const [one, other] = [await fixture.agent(), await fixture.agent()]
    const key = unique()
    const sent = await send([
      { agent: one.key, message: 'm', idempotency_key: key },
      { agent: other.key, message: 'm', idempotency_key: key },
    ])
    expect(results(sent).map((each) => each['outcome'])).toEqual(['accepted', 'accepted'])
  })

  test('a batch that is sent by many at once over two gateways makes its tasks once', async () => {
    const agent = await fixture.agent()
    const commands = ['a', "b'; drop table tasks; --", '\u{1f980}{}:*\n', '__proto__'].map((key) => ({
      agent: agent.key,
      message: 'm',
      idempotency_key: key + unique(),
    }))
    const before = await count('tasks')
    const apps = [fixture.gateway.app, fixture.another().app]
    const replies = await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        apps[index % 2]?.request('http://muster.test/v1/commands/batch', {
          method: 'POST',
          headers: { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' },
          body: JSON.stringify({ commands }),
        }),
      ),
    )
    expect(replies.map((reply) => reply?.status)).toEqual(Array.from({ length: 20 }, () => 200))
    expect(await count('tasks')).toBe(before + commands.length)
  })

  test('another workspace sees nothing of it', async () => {
    const { secret } = await fixture.workspace()
    const agent = await fixture.agent()
    const sent = await send([{ agent: agent.key, message: 'm' }], secret)
    expect(sent.at('results.0.code')).toBe('agent_not_found')
  })
})
