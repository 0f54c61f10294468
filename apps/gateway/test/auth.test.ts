import { until } from '@muster/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

const ADMIN_ONLY: readonly [string, string][] = [
  ['GET', '/v1/workspaces'],
  ['POST', '/v1/workspaces'],
  ['GET', '/v1/workspaces/default'],
  ['PATCH', '/v1/workspaces/default'],
  ['POST', '/v1/workspaces/default/keys'],
  ['GET', '/v1/workspaces/default/keys'],
  ['DELETE', '/v1/workspaces/default/keys/key_01k00000000000000000000000'],
  ['GET', '/v1/nodes'],
  ['GET', '/v1/ops/invariants'],
  ['POST', '/v1/sessions/ses_01k00000000000000000000000/release'],
]

describe('who may call', () => {
  test('without a key: 401 missing_api_key, with how to authenticate', async () => {
    const reply = await fixture.call('GET', '/v1/tasks', { key: null })
    expect([reply.status, reply.at('code')]).toEqual([401, 'missing_api_key'])
    expect(reply.headers.get('www-authenticate')).toBe('Bearer')
    expect(reply.at('agent_contract.next_actions.0.action')).toBe('authenticate')
  })

  test('with a key that is none: 401 invalid_api_key', async () => {
    const keys = [
      `mst_${'0'.repeat(64)}`,
      'mst_',
      'hello',
      `${fixture.key}x`,
      fixture.key.slice(0, -1),
      `mst_${'x'.repeat(5000)}`,
      "mst_' or 1=1",
    ]
    for (const key of keys) expect((await fixture.call('GET', '/v1/tasks', { key })).at('code')).toBe('invalid_api_key')
    const basic = await fixture.call('GET', '/v1/tasks', { key: null, headers: { authorization: 'Basic eDp5' } })
    expect(basic.at('code')).toBe('invalid_api_key')
  })

  test('a key of a workspace may not do what the admin token alone may', async () => {
    for (const [method, path] of ADMIN_ONLY) {
      const reply = await fixture.call(method, path, method === 'GET' ? {} : { body: {} })
      expect([method, path, reply.status, reply.at('code')]).toEqual([method, path, 403, 'forbidden'])
    }
  })

  test('the admin token acts in the workspace that the header names, by id or key, else in default', async () => {
    const other = await fixture.workspace()
    const mine = await fixture.agent()
    const theirs = await fixture.agent({ secret: other.secret })
    const seen = async (headers: Record<string, string>): Promise<unknown> =>
      (await fixture.call('GET', '/v1/agents?limit=1', { key: ADMIN_TOKEN, headers })).at('data.0.id')
    expect(await seen({})).toBe(mine.id)
    expect(await seen({ 'muster-workspace': other.key })).toBe(theirs.id)
    expect(await seen({ 'muster-workspace': other.id })).toBe(theirs.id)
    for (const name of ['nowhere', 'Not A Key', '../default', 'x'.repeat(300)]) {
      const reply = await fixture.call('GET', '/v1/agents', { key: ADMIN_TOKEN, headers: { 'muster-workspace': name } })
      expect([reply.status, reply.at('errors.0.pointer')]).toEqual([404, 'header/muster-workspace'])
    }
  })

  test('a workspace can be acted in from the moment it is made, also where it was just asked for', async () => {
    const headers = { 'muster-workspace': 'just-made' }
    const status = async (): Promise<number> =>
      (await fixture.call('GET', '/v1/tasks', { key: ADMIN_TOKEN, headers })).status
    expect(await status()).toBe(404)
    await fixture.call('POST', '/v1/workspaces', { key: ADMIN_TOKEN, body: { key: 'just-made' } })
    expect(await status()).toBe(200)
  })

  test('text in the URL that only begins as a key does is no key', async () => {
    for (const label of ['mst_release', 'mst_'])
      expect((await fixture.call('GET', `/v1/tasks?label=${label}`)).status).toBe(200)
    expect((await fixture.call('GET', `/v1/tasks?label=${fixture.key}`)).status).toBe(400)
  })

  test('a key in the URL is refused and not repeated', async () => {
    for (const query of [`api_key=${fixture.key}`, `key=${fixture.key}`, `token=x`, `limit=1&access_token=y`]) {
      const reply = await fixture.call('GET', `/v1/agents/defaults?${query}`)
      expect(reply.status).toBe(400)
      expect(reply.text).not.toContain(fixture.key)
    }
  })

  test('what is public needs no key', async () => {
    for (const path of [
      '/livez',
      '/readyz',
      '/v1/schema',
      '/openapi.json',
      '/v1/capabilities',
      '/.well-known/agent.json',
    ])
      expect([path, (await fixture.call('GET', path, { key: null })).status]).toEqual([path, 200])
  })
})

describe('API keys', () => {
  test('a key is shown once; only its SHA-256 is kept', async () => {
    const made = await fixture.call('POST', '/v1/workspaces/default/keys', { key: ADMIN_TOKEN, body: { name: 'ci' } })
    expect(made.status).toBe(201)
    const secret = made.textAt('secret')
    expect(secret).toMatch(/^mst_[A-Za-z0-9]{43,}$/)
    expect(made.at('api_key')).toMatchObject({ name: 'ci', revoked_at: null })
    const [row] = await fixture.test.query(`select *, encode(hash, 'hex') as hex from api_keys where id = $1`, [
      made.textAt('api_key.id'),
    ])
    const { createHash } = await import('node:crypto')
    expect(row?.['hex']).toBe(createHash('sha256').update(secret).digest('hex'))
    expect(JSON.stringify(row)).not.toContain(secret)
    expect((await fixture.call('GET', '/v1/tasks', { key: secret })).status).toBe(200)
  })

  test('a revoked key is refused by every gateway within 5 seconds, also where it was just used', async () => {
    const { id, secret } = await fixture.workspace()
    const apps = [fixture.gateway.app, fixture.another().app]
    const statuses = async (): Promise<number[]> =>
      Promise.all(
        apps.map(
          async (app) =>
            (await app.request('http://muster.test/v1/tasks', { headers: { authorization: `Bearer ${secret}` } }))
              .status,
        ),
      )
    expect(await statuses()).toEqual([200, 200])
    const [key] = await fixture.test.query('select id from api_keys where workspace_id = $1', [id])
    const revoked = await fixture.call('DELETE', `/v1/workspaces/${id}/keys/${key?.['id']}`, { key: ADMIN_TOKEN })
    expect(revoked.status).toBe(204)
    await until(async () => (await statuses()).every((status) => status === 401), { deadlineMs: 5000 })
    const again = await fixture.call('DELETE', `/v1/workspaces/${id}/keys/${key?.['id']}`, { key: ADMIN_TOKEN })
    expect(again.status).toBe(204)
  })

  test('the keys of a workspace are listed page by page, without their secrets, and one that is found there can be revoked', async () => {
    const { id, secret } = await fixture.workspace()
    const make = () =>
      fixture.call('POST', `/v1/workspaces/${id}/keys`, { key: ADMIN_TOKEN, body: { name: 'another' } })
    const another = await make()
    const list = (query: string) => fixture.call('GET', `/v1/workspaces/${id}/keys?${query}`, { key: ADMIN_TOKEN })
    const newest = await list('limit=1')
    expect(newest.at('data')).toEqual([another.at('api_key')])
    expect(newest.at('has_more')).toBe(true)
    const rest = await list(`limit=1&cursor=${newest.textAt('next_cursor')}`)
    expect(rest.at('has_more')).toBe(false)
    expect(JSON.stringify([newest.body, rest.body])).not.toContain(secret)
    const oldest = rest.textAt('data.0.id')
    await fixture.call('DELETE', `/v1/workspaces/${id}/keys/${oldest}`, { key: ADMIN_TOKEN })
    expect((await list('')).at('data.1')).toMatchObject({ id: oldest, revoked_at: expect.any(String) })
    expect((await fixture.call('GET', '/v1/workspaces/none/keys', { key: ADMIN_TOKEN })).status).toBe(404)
  })

  test('a key of another workspace cannot be revoked through this one', async () => {
    const [one, other] = [await fixture.workspace(), await fixture.workspace()]
    const [key] = await fixture.test.query('select id from api_keys where workspace_id = $1', [one.id])
    const reply = await fixture.call('DELETE', `/v1/workspaces/${other.id}/keys/${key?.['id']}`, { key: ADMIN_TOKEN })
    expect([reply.status, reply.at('code')]).toEqual([404, 'api_key_not_found'])
    expect((await fixture.call('GET', '/v1/tasks', { key: one.secret })).status).toBe(200)
  })
})

describe('the id of a request', () => {
  test('a sane one is kept, another is replaced', async () => {
    const kept = await fixture.call('GET', '/livez', { headers: { 'x-request-id': 'abc-123' } })
    expect(kept.headers.get('x-request-id')).toBe('abc-123')
    for (const id of ['', 'a b', 'x'.repeat(129), '<script>'])
      expect(
        (await fixture.call('GET', '/livez', { headers: { 'x-request-id': id } })).headers.get('x-request-id'),
      ).toMatch(/^req_/)
  })
})
