import { randomBytes } from 'node:crypto'
import { parsePrometheus, until } from '@muster/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { ADMIN_TOKEN, type Fixture, openFixture, type Reply, replyOf } from './gateway-fixture.ts'

let fixture: Fixture
let driver: Driver
beforeAll(async () => {
  fixture = await openFixture()
  driver = await Driver.register(fixture.database)
})
afterAll(() => fixture.close())

const unique = (): string => randomBytes(8).toString('hex')
const send = (body: object, secret = fixture.key): Promise<Reply> =>
  fixture.call('POST', '/v1/commands', { body, key: secret })
const limit = (agent: { key: string }, max: number | null): Promise<Reply> =>
  fixture.call('PATCH', `/v1/agents/${agent.key}`, { body: { limits: { max_waiting: max } } })
const statuses = async (sent: readonly Promise<Reply>[]): Promise<number[]> =>
  (await Promise.all(sent)).map((reply) => reply.status)
const accepted = (all: readonly number[]): number => all.filter((status) => status === 202).length
/** Sends until it is taken: a queue is looked at once a second. */
const whenThereIsRoom = (body: object): Promise<Reply> =>
  until(
    async () => {
      const reply = await send(body)
      return reply.status === 202 ? reply : undefined
    },
    { deadlineMs: 5000, what: 'room in the queue' },
  )

describe('limits.max_waiting of an agent', () => {
  test('is shown, kept by other changes, and cleared by null', async () => {
    const agent = await fixture.agent()
    expect((await fixture.call('GET', `/v1/agents/${agent.key}`)).at('agent.limits.max_waiting')).toBeNull()
    expect((await limit(agent, 3)).at('agent.limits')).toMatchObject({ max_waiting: 3, concurrency: null })
    const other = await fixture.call('PATCH', `/v1/agents/${agent.key}`, { body: { limits: { concurrency: 1 } } })
    expect(other.at('agent.limits')).toMatchObject({ max_waiting: 3, concurrency: 1 })
    expect((await limit(agent, null)).at('agent.limits')).toMatchObject({ max_waiting: null, concurrency: 1 })
    for (const wrong of [-1, 1.5, 1_000_001, '3']) {
      const refused = await fixture.call('PATCH', `/v1/agents/${agent.key}`, {
        body: { limits: { max_waiting: wrong } },
      })
      expect([refused.status, refused.at('errors.0.pointer')]).toEqual([400, '/limits/max_waiting'])
    }
  })

  test('refuses what is new past it: scheduled and session-held runs count; a running one does not', async () => {
    const agent = await fixture.agent()
    const sent = await send({ agent: agent.key, message: '1', session_key: 's' })
    await send({ agent: agent.key, message: '2', session_key: 's' })
    await send({ agent: agent.key, message: '3', delay_ms: 3_600_000 })
    await limit(agent, 3)
    const refused = await send({ agent: agent.key, message: '4' })
    expect([refused.status, refused.at('code'), refused.at('retryable')]).toEqual([429, 'queue_full', true])
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect([refused.headers.get('ratelimit-limit'), refused.headers.get('ratelimit-remaining')]).toEqual(['3', '0'])
    expect(refused.headers.get('ratelimit-reset')).toBe(refused.headers.get('retry-after'))
    expect(refused.at('agent_contract')).toMatchObject({ next_actions: [{ action: 'retry_after_wait' }] })
    await driver.claim(sent.textAt('run.id'))
    await whenThereIsRoom({ agent: agent.key, message: '4' })
    expect((await send({ agent: agent.key, message: '5' })).status).toBe(429)
  })

  test('0 accepts nothing; raising it acts at once', async () => {
    const agent = await fixture.agent()
    await limit(agent, 0)
    expect((await send({ agent: agent.key, message: 'm' })).status).toBe(429)
    await limit(agent, 1)
    expect((await send({ agent: agent.key, message: 'm' })).status).toBe(202)
    expect((await send({ agent: agent.key, message: 'm' })).status).toBe(429)
    await limit(agent, null)
    expect((await send({ agent: agent.key, message: 'm' })).status).toBe(202)
  })

  test('holds exactly for a burst on one gateway', async () => {
    const agent = await fixture.agent()
    await limit(agent, 37)
    const sent = await statuses(
      Array.from({ length: 300 }, (_, index) => send({ agent: agent.key, message: String(index) })),
    )
    expect(accepted(sent)).toBe(37)
    expect(new Set(sent)).toEqual(new Set([202, 429]))
  })

  test('a command that is refused for another reason takes no place', async () => {
    const agent = await fixture.agent()
    await limit(agent, 1)
    const absent = 'ses_01k00000000000000000000000'
    for (let n = 0; n < 3; n++)
      expect((await send({ agent: agent.key, message: 'm', session_id: absent })).status).toBe(404)
    expect((await send({ agent: agent.key, message: 'm' })).status).toBe(202)
  })

  test('a repeat of an accepted command is answered as ever, a conflict too, alone and in a batch', async () => {
    const agent = await fixture.agent()
    const body = { agent: agent.key, message: 'm', idempotency_key: unique() }
    const first = await send(body)
    await limit(agent, 1)
    expect((await send({ ...body, idempotency_key: unique() })).status).toBe(429)
    const again = await send(body)
    expect([again.status, again.at('task.id')]).toEqual([200, first.at('task.id')])
    expect((await send({ ...body, message: 'n' })).at('code')).toBe('idempotency_conflict')
    const batch = await fixture.call('POST', '/v1/commands/batch', {
      body: { commands: [body, { ...body, idempotency_key: unique() }, { ...body, message: 'n' }] },
    })
    expect([0, 1, 2].map((index) => batch.at(`results.${index}.status`))).toEqual([200, 429, 409])
    expect(batch.at('results.1')).toMatchObject({ retry_after_ms: 1000, limit: 1, code: 'queue_full' })
  })

  test('a batch fills what is left and no more', async () => {
    const agent = await fixture.agent()
    await limit(agent, 150)
    const commands = Array.from({ length: 200 }, (_, index) => ({ agent: agent.key, message: String(index) }))
    const batch = await fixture.call('POST', '/v1/commands/batch', { body: { commands } })
    const sent = commands.map((_, index) => batch.at(`results.${index}.status`))
    expect(sent).toEqual([...Array.from({ length: 150 }, () => 202), ...Array.from({ length: 50 }, () => 429)])
  })

  test('another gateway learns of it within about a second, and counts what this one accepted', async () => {
    const agent = await fixture.agent()
    const other = fixture.another()
    const sendThere = async (): Promise<number> => {
      const response = await other.app.request('http://muster.test/v1/commands', {
        method: 'POST',
        headers: { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ agent: agent.key, message: 'm' }),
      })
      return replyOf(response, await response.text()).status
    }
    await limit(agent, 2)
    for (let n = 0; n < 2; n++) await send({ agent: agent.key, message: 'm' })
    await until(async () => ((await sendThere()) === 429 ? true : undefined), { deadlineMs: 5000, what: 'a refusal' })
  })

  test('a dead letter is queued again however full its queue is', async () => {
    const agent = await fixture.agent()
    const sent = await send({ agent: agent.key, message: 'm' })
    await driver.fail(sent.textAt('run.id'), await driver.claim(sent.textAt('run.id')))
    await send({ agent: agent.key, message: 'm' })
    await limit(agent, 1)
    expect((await fixture.call('POST', `/v1/tasks/${sent.textAt('task.id')}/requeue`)).status).toBe(202)
    expect((await send({ agent: agent.key, message: 'm' })).status).toBe(429)
  })
})

describe('limits.max_waiting of a workspace', () => {
  test('bounds all its agents together, and nobody else', async () => {
    const { id, secret } = await fixture.workspace()
    const agents = [await fixture.agent({ secret }), await fixture.agent({ secret })]
    const patched = await fixture.call('PATCH', `/v1/workspaces/${id}`, {
      key: ADMIN_TOKEN,
      body: { limits: { max_waiting: 20 } },
    })
    expect(patched.at('workspace.limits')).toEqual({ concurrency: null, max_waiting: 20 })
    const sent = await statuses(
      Array.from({ length: 60 }, (_, index) => send({ agent: agents[index % 2]?.key, message: 'm' }, secret)),
    )
    expect(accepted(sent)).toBe(20)
    const stranger = await fixture.agent()
    expect((await send({ agent: stranger.key, message: 'm' })).status).toBe(202)
    const read = await fixture.call('GET', `/v1/workspaces/${id}`, { key: ADMIN_TOKEN })
    expect(read.at('workspace.limits.max_waiting')).toBe(20)
  })

  test('can be set when it is made, as that of an agent can', async () => {
    const key = `w${unique()}`
    await fixture.call('POST', '/v1/workspaces', { key: ADMIN_TOKEN, body: { key, limits: { max_waiting: 2 } } })
    const made = await fixture.call('POST', `/v1/workspaces/${key}/keys`, { key: ADMIN_TOKEN, body: {} })
    const secret = made.textAt('secret')
    const agent = await fixture.agent({ secret })
    const sent = await statuses(Array.from({ length: 5 }, () => send({ agent: agent.key, message: 'm' }, secret)))
    expect(accepted(sent)).toBe(2)
  })
})

test('what is refused is counted by its outcome', async () => {
  const agent = await fixture.agent()
  await limit(agent, 0)
  await send({ agent: agent.key, message: 'm' })
  const families = parsePrometheus(await (await fixture.gateway.app.request('/metrics')).text())
  const refused = families
    .get('muster_commands_total')
    ?.samples.find((sample) => sample.labels['outcome'] === 'queue_full')
  expect(refused?.value).toBeGreaterThan(0)
})
