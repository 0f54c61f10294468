import { configurationSince } from '@muster/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

const CONFIG = { runner: 'process', command: ['/bin/cat'] }

describe('workspaces', () => {
  test('made, read by id or key, listed and changed field by field', async () => {
    const made = await fixture.call('POST', '/v1/workspaces', {
      key: ADMIN_TOKEN,
      body: { key: 'acme', weight: 2, limits: { concurrency: 5 } },
    })
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/v1/workspaces/${made.textAt('workspace.id')}`)
    expect(made.at('workspace')).toMatchObject({
      key: 'acme',
      name: 'acme',
      weight: 2,
      limits: { concurrency: 5 },
      paused: false,
    })
    for (const name of ['acme', made.textAt('workspace.id')])
      expect((await fixture.call('GET', `/v1/workspaces/${name}`, { key: ADMIN_TOKEN })).at('workspace')).toEqual(
        made.at('workspace'),
      )
    const paused = await fixture.call('PATCH', '/v1/workspaces/acme', { key: ADMIN_TOKEN, body: { paused: true } })
    expect(paused.at('workspace')).toMatchObject({ weight: 2, limits: { concurrency: 5 }, paused: true })
    expect(paused.at('applied')).toBeTypeOf('boolean')
    const cleared = await fixture.call('PATCH', '/v1/workspaces/acme', {
      key: ADMIN_TOKEN,
      body: { limits: { concurrency: null } },
    })
    expect(cleared.at('workspace')).toMatchObject({ limits: { concurrency: null }, paused: true })
    const list = await fixture.call('GET', '/v1/workspaces', { key: ADMIN_TOKEN })
    expect(list.at('data.0')).toEqual(cleared.at('workspace'))
  })

  test('a key that is an id to every path is refused', async () => {
    const body = { key: 'wsp_01arz3ndektsv4rrffq69g5fav' }
    const refused = await fixture.call('POST', '/v1/workspaces', { key: ADMIN_TOKEN, body })
    expect([refused.status, refused.at('errors.0.pointer')]).toEqual([400, '/key'])
  })

  test('a key is taken once', async () => {
    const again = await fixture.call('POST', '/v1/workspaces', { key: ADMIN_TOKEN, body: { key: 'default' } })
    expect([again.status, again.at('code')]).toEqual([409, 'workspace_exists'])
    for (const method of ['GET', 'PATCH']) {
      const reply = await fixture.call(method, '/v1/workspaces/nowhere', {
        key: ADMIN_TOKEN,
        ...(method === 'GET' ? {} : { body: {} }),
      })
      expect([reply.status, reply.at('code')]).toEqual([404, 'workspace_not_found'])
    }
  })
})

describe('agents', () => {
  test('a policy that no fleet can hold is refused where it is set, and changes nothing', async () => {
    const policy = { ask: 'always', security: 'full' }
    const body = { key: 'asking', config: { ...CONFIG, policy } }
    const refused = await fixture.call('POST', '/v1/agents', { body })
    expect([refused.status, refused.at('code')]).toEqual([422, 'policy_unsupported'])
    expect(refused.at('errors')).toMatchObject([
      { pointer: '/config/policy/ask' },
      { pointer: '/config/policy/security' },
    ])
    expect((await fixture.call('GET', '/v1/agents/asking')).status).toBe(404)
    await fixture.call('POST', '/v1/agents', { body: { ...body, config: CONFIG } })
    const bare = { runtime_type: 'none', workspace_access: 'ro' }
    const patched = await fixture.call('PATCH', '/v1/agents/asking', { body: { config: { policy: bare } } })
    expect([patched.status, patched.at('errors.0.pointer')]).toEqual([422, '/config/policy/workspace_access'])
    expect((await fixture.call('GET', '/v1/agents/asking')).at('agent')).toMatchObject({ version: 1, config: CONFIG })
  })

  test('a config is merged one level deep, null clears, and each makes a version; the rest does not', async () => {
    const made = await fixture.call('POST', '/v1/agents', {
      body: { key: 'merge', config: { ...CONFIG, env: { A: '1' }, timeout_ms: 5 } },
    })
    expect(made.at('agent')).toMatchObject({
      key: 'merge',
      name: 'merge',
      version: 1,
      active: true,
      paused: false,
      weight: 1,
    })
    const changed = await fixture.call('PATCH', '/v1/agents/merge', {
      body: { config: { env: { B: '2' }, timeout_ms: null } },
    })
    expect(changed.at('agent.config')).toEqual({ ...CONFIG, env: { B: '2' } })
    expect(changed.at('agent.version')).toBe(2)
    const paused = await fixture.call('PATCH', `/v1/agents/${made.textAt('agent.id')}`, {
      body: { paused: true, weight: 3 },
    })
    expect(paused.at('agent')).toMatchObject({ version: 2, paused: true, weight: 3, config: { env: { B: '2' } } })
    const kept = await fixture.test.query(
      'select version, config from agent_versions where agent_id = $1 order by version',
      [made.textAt('agent.id')],
    )
    expect(kept).toMatchObject([
      { version: 1, config: { timeout_ms: 5 } },
      { version: 2, config: { env: { B: '2' } } },
    ])
  })

  test('limits are merged lane by lane and setting by setting', async () => {
    await fixture.call('POST', '/v1/agents', {
      body: { key: 'lanes', config: CONFIG, limits: { concurrency: 3, lanes: { cron: { concurrency: 1 } } } },
    })
    const changed = await fixture.call('PATCH', '/v1/agents/lanes', {
      body: { limits: { lanes: { cron: { paused: true }, hook: { weight: 2 } } } },
    })
    expect(changed.at('agent.limits')).toEqual({
      concurrency: 3,
      max_waiting: null,
      lanes: { cron: { concurrency: 1, paused: true }, hook: { weight: 2 } },
    })
  })

  test('concurrent changes are all kept', async () => {
    await fixture.call('POST', '/v1/agents', { body: { key: 'busy', config: CONFIG } })
    const names = Array.from({ length: 20 }, (_, index) => `lane${index}`)
    await Promise.all(
      names.map((name) =>
        fixture.call('PATCH', '/v1/agents/busy', {
          body: { limits: { lanes: { [name]: { concurrency: 1 } } }, config: { model: name } },
        }),
      ),
    )
    const agent = await fixture.call('GET', '/v1/agents/busy')
    expect(Object.keys(Object(agent.at('agent.limits.lanes'))).sort()).toEqual(names.sort())
    expect(agent.at('agent.version')).toBe(21)
  })

  test('a key by which its agent could never be named is refused', async () => {
    const id = 'agt_01arz3ndektsv4rrffq69g5fav'
    for (const key of ['defaults', id]) {
      const refused = await fixture.call('POST', '/v1/agents', { body: { key, config: CONFIG } })
      expect([refused.status, refused.at('errors.0.pointer')]).toEqual([400, '/key'])
    }
    for (const key of ['defaults2', `${id}x`, 'agt_x', 'wsp_01arz3ndektsv4rrffq69g5fav']) {
      await fixture.agent({ key })
      expect((await fixture.call('GET', `/v1/agents/${key}`)).at('agent.key')).toBe(key)
    }
  })

  test('a key is taken once, and free again when its agent is deleted', async () => {
    const first = await fixture.agent({ key: 'again' })
    expect((await fixture.call('POST', '/v1/agents', { body: { key: 'again', config: CONFIG } })).at('code')).toBe(
      'agent_exists',
    )
    expect((await fixture.call('DELETE', '/v1/agents/again')).status).toBe(204)
    for (const method of ['GET', 'DELETE'])
      expect((await fixture.call(method, `/v1/agents/${first.id}`)).at('code')).toBe('agent_not_found')
    const second = await fixture.agent({ key: 'again' })
    expect(second.id).not.toBe(first.id)
    expect(
      (await fixture.call('POST', '/v1/commands', { body: { agent: 'again', message: 'm' } })).at('task.agent_id'),
    ).toBe(second.id)
  })

  test('an agent with unfinished runs is not deleted; its runs stay readable afterwards', async () => {
    const agent = await fixture.agent()
    const sent = await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'm' } })
    const refused = await fixture.call('DELETE', `/v1/agents/${agent.key}`)
    expect([refused.status, refused.at('code')]).toEqual([409, 'agent_busy'])
    await fixture.call('POST', `/v1/runs/${sent.textAt('run.id')}/cancel`)
    expect((await fixture.call('DELETE', `/v1/agents/${agent.key}`)).status).toBe(204)
    expect((await fixture.call('GET', `/v1/runs/${sent.textAt('run.id')}`)).status).toBe(200)
    expect((await fixture.call('GET', `/v1/runs?agent=${agent.key}`)).at('data.0.id')).toBe(sent.at('run.id'))
    expect((await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'm' } })).at('code')).toBe(
      'agent_not_found',
    )
  })

  test('the defaults are those that a command gets', async () => {
    const agent = await fixture.agent()
    const sent = await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'm' } })
    const defaults = await fixture.call('GET', `/v1/agents/defaults?key=${agent.key}`)
    expect(defaults.at('defaults.key')).toBe(agent.key)
    for (const field of ['policy', 'timeout_ms'])
      expect(sent.at(`run.${field}`)).toEqual(defaults.at(`defaults.config.${field}`))
    expect(sent.at('run.lane')).toBe(defaults.at('defaults.lane'))
  })
})

describe('execution classes', () => {
  test('listed with what runs and waits, changed by key; null clears', async () => {
    const agent = await fixture.agent()
    await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'm', lane: 'cron' } })
    const list = await fixture.call('GET', `/v1/classes?agent=${agent.key}&lane=cron`)
    expect(list.at('data')).toHaveLength(1)
    expect(list.at('data.0')).toMatchObject({
      agent_key: agent.key,
      lane: 'cron',
      limit: null,
      weight: 1,
      paused: false,
      running: 0,
    })
    const path = `/v1/classes/${list.textAt('data.0.key')}`
    const changed = await fixture.call('PATCH', path, { body: { limit: 2, weight: 0.5, paused: true } })
    expect(changed.at('class')).toMatchObject({ limit: 2, weight: 0.5, paused: true, status: 'paused' })
    const cleared = await fixture.call('PATCH', path, { body: { limit: null, weight: null, paused: null } })
    expect(cleared.at('class')).toMatchObject({ limit: null, weight: 1, paused: false })
  })
})

describe('what the gate is told', () => {
  test('every change has a higher version than all before it, and is found again by its time', async () => {
    const { pool } = fixture.database
    const start = await configurationSince(pool, null)
    const agent = await fixture.agent()
    await fixture.call('PATCH', `/v1/agents/${agent.key}`, {
      body: { limits: { lanes: { cron: { concurrency: 1 } } }, paused: true },
    })
    await fixture.call('PATCH', '/v1/workspaces/default', { key: ADMIN_TOKEN, body: { weight: 4 } })
    const later = await configurationSince(pool, start.asOf)
    const all = await configurationSince(pool, null)
    for (const { entries } of [later, all]) {
      const own = entries.filter((entry) => 'agentId' in entry.node && entry.node.agentId === agent.id)
      expect(own).toMatchObject([
        { node: { kind: 'agent' }, limit: null, weight: 1, paused: true },
        { node: { kind: 'lane', lane: 'cron' }, limit: 1, weight: 1, paused: false },
      ])
      const workspace = entries.find((entry) => entry.node.kind === 'workspace' && entry.weight === 4)
      expect(workspace?.version).toBeGreaterThan(own[0]?.version ?? Number.POSITIVE_INFINITY)
    }
    expect(later.asOf.getTime()).toBeGreaterThanOrEqual(start.asOf.getTime())
  })
})
