import { ROUTES } from '@muster/contracts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

let fixture: Fixture
let ids: Readonly<Record<string, string>>
let foreign: string
beforeAll(async () => {
  fixture = await openFixture()
  foreign = (await fixture.workspace()).secret
  const agent = await fixture.agent()
  const sent = await fixture.call('POST', '/v1/commands', {
    body: { agent: agent.key, message: 'secret', session_key: 's', label: 'l' },
  })
  const classes = await fixture.call('GET', '/v1/classes')
  ids = {
    agent: agent.id,
    task_id: sent.textAt('task.id'),
    run_id: sent.textAt('run.id'),
    session_id: sent.textAt('session.id'),
    class_key: classes.textAt('data.0.key'),
  }
})
afterAll(() => fixture.close())

const BODIES: Readonly<Record<string, object>> = { patchAgent: { name: 'mine' }, patchClass: { paused: true } }

describe("another tenant's resources do not exist", () => {
  const routes = Object.values(ROUTES).filter((route) => route.access === 'workspace' && route.path.includes('{'))
  for (const route of routes)
    test(`${route.method} ${route.path} is 404 with the id of another workspace's`, async () => {
      const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? '')
      const before = await fixture.test.query('select * from agents, runs, tasks, sessions, classes')
      const reply = await fixture.call(route.method, path, {
        key: foreign,
        ...(route.body === null ? {} : { body: BODIES[route.operationId] ?? {} }),
        headers: { accept: 'text/event-stream' },
      })
      expect([reply.status, reply.at('code')]).toEqual([404, route.notFound])
      expect(await fixture.test.query('select * from agents, runs, tasks, sessions, classes')).toEqual(before)
    })

  test('no list shows them, whatever the filter', async () => {
    for (const path of ['/v1/tasks', '/v1/runs', '/v1/sessions', '/v1/agents', '/v1/classes'])
      expect((await fixture.call('GET', path, { key: foreign })).at('data')).toEqual([])
    for (const query of [`agent=${ids['agent']}`, `session=${ids['session_id']}`, 'session=s', 'label=l'])
      expect((await fixture.call('GET', `/v1/tasks?${query}`, { key: foreign })).at('data')).toEqual([])
  })

  test('no command can reach their agents or sessions', async () => {
    const agent = await fixture.call('POST', '/v1/commands', {
      key: foreign,
      body: { agent: ids['agent'], message: 'm' },
    })
    expect(agent.at('code')).toBe('agent_not_found')
    const own = await fixture.agent({ secret: foreign })
    const session = await fixture.call('POST', '/v1/commands', {
      key: foreign,
      body: { agent: own.key, message: 'm', session_id: ids['session_id'] },
    })
    expect(session.at('code')).toBe('session_not_found')
  })

  test("a cursor of another workspace's list shows nothing of it", async () => {
    const cursor = Buffer.from(`${ids['task_id']}`).toString('base64url')
    expect((await fixture.call('GET', `/v1/tasks?cursor=${cursor}`, { key: foreign })).at('data')).toEqual([])
  })
})

test('an operator releases a session of any workspace; an unknown one is 404', async () => {
  const released = await fixture.call('POST', `/v1/sessions/${ids['session_id']}/release`, {
    key: ADMIN_TOKEN,
    body: { reason: 'stuck' },
  })
  expect([released.status, released.at('session.current_run_id')]).toEqual([200, null])
  const run = await fixture.call('GET', `/v1/runs/${ids['run_id']}`)
  expect(run.at('run')).toMatchObject({ status: 'cancelled', failure: { code: 'session_released', message: 'stuck' } })
  const absent = await fixture.call('POST', '/v1/sessions/ses_01k00000000000000000000000/release', { key: ADMIN_TOKEN })
  expect(absent.at('code')).toBe('session_not_found')
})
