import { setTimeout as sleep } from 'node:timers/promises'
import { configurationSince } from '@muster/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { type Fixture, openFixture, type Reply } from './gateway-fixture.ts'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

const send = (body: object): Promise<Reply> => fixture.call('POST', '/v1/commands', { body })
const sendMany = (body: object, count: number): Promise<Reply> =>
  fixture.call('POST', '/v1/commands/batch', { body: { commands: Array.from({ length: count }, () => body) } })
const patch = (key: string, body: object): Promise<Reply> => fixture.call('PATCH', `/v1/agents/${key}`, { body })
const remove = (key: string): Promise<Reply> => fixture.call('DELETE', `/v1/agents/${key}`)
/** What was read a second ago is looked at anew before it refuses. */
const aMoment = () => sleep(1100)

describe('what a gateway remembers of an agent refuses nobody', () => {
  test('once the agent was made anew without a limit, one by one or many', async () => {
    const { key } = await fixture.agent()
    const first = await send({ agent: key, message: 'x' })
    await fixture.call('POST', `/v1/runs/${first.textAt('run.id')}/cancel`)
    await patch(key, { limits: { max_waiting: 0 } })
    expect((await send({ agent: key, message: 'x' })).at('code')).toBe('queue_full')
    expect((await remove(key)).status).toBe(204)
    await aMoment()
    expect((await send({ agent: key, message: 'x' })).at('code')).toBe('agent_not_found')
    await fixture.agent({ key })
    const many = await sendMany({ agent: key, message: 'x' }, 3)
    expect(many.at('results')).toMatchObject(Array(3).fill({ status: 202 }))
    expect((await send({ agent: key, message: 'x' })).status).toBe(202)
  })

  test('once the agent allows the policy', async () => {
    const { key } = await fixture.agent({
      config: { runner: 'process', command: ['true'], policy: { runtime_type: 'none' } },
    })
    const closed = { agent: key, message: 'x', policy: { network_enabled: false } }
    expect((await send(closed)).at('code')).toBe('policy_unsupported')
    await patch(key, { config: { policy: { runtime_type: 'bubblewrap' } } })
    await aMoment()
    expect((await send(closed)).status).toBe(202)
    await patch(key, { config: { policy: { runtime_type: 'none' } } })
    expect((await send({ agent: key, message: 'x', policy: {} })).status).toBe(202)
    expect((await send(closed)).at('code')).toBe('policy_unsupported')
  })
})

test('a repeat is answered by what was accepted, though its policy is no longer supported', async () => {
  const { key } = await fixture.agent()
  const body = { agent: key, message: 'x', policy: { network_enabled: false }, idempotency_key: 'again' }
  const first = await send(body)
  expect(first.status).toBe(202)
  await patch(key, { config: { policy: { runtime_type: 'none' } } })
  await send({ agent: key, message: 'plain' })
  const again = await send(body)
  expect([again.status, again.at('task.id')]).toEqual([200, first.at('task.id')])
  expect((await send({ ...body, message: 'other' })).at('code')).toBe('idempotency_conflict')
  expect((await send({ ...body, idempotency_key: 'new' })).at('code')).toBe('policy_unsupported')
})

test('a dead letter of a deleted agent is not requeued, and nothing binds by what that agent was set to', async () => {
  const driver = await Driver.register(fixture.database)
  const { key, id } = await fixture.agent()
  const sent = await send({ agent: key, message: 'x', lane: 'side' })
  await driver.fail(sent.textAt('run.id'), await driver.claim(sent.textAt('run.id')))
  await patch(key, { paused: true, limits: { concurrency: 0, lanes: { side: { paused: true } } } })
  expect((await remove(key)).status).toBe(204)
  const refused = await fixture.call('POST', `/v1/tasks/${sent.textAt('task.id')}/requeue`)
  expect([refused.status, refused.at('code')]).toEqual([404, 'agent_not_found'])
  expect((await fixture.call('GET', `/v1/tasks/${sent.textAt('task.id')}`)).at('task.status')).toBe('dead_letter')
  const { entries } = await configurationSince(fixture.database.pool, new Date(0))
  const own = entries.filter(({ node }) => 'agentId' in node && node.agentId === id)
  expect(own.map(({ limit, weight, paused }) => ({ limit, weight, paused }))).toEqual(
    Array(2).fill({ limit: null, weight: 1, paused: false }),
  )
})
