import { setTimeout as sleep } from 'node:timers/promises'
import { createGate } from '@muster/gate'
import { openDatabase } from '@muster/store'
import { createDatabase, createPostgres, MIGRATIONS_FOLDER, sharedRedis, until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from '../src/build-app.ts'
import { Driver } from './drive-run.ts'
import { ADMIN_TOKEN, type Fixture, openFixture, replyOf } from './gateway-fixture.ts'
import { readSse } from './sse-reader.ts'

const PROMISED_MS = 5000

let fixture: Fixture
let driver: Driver
beforeAll(async () => {
  fixture = await openFixture()
  driver = await Driver.register(fixture.database)
})
afterAll(() => fixture.close())

type Tenant = { readonly id: string; readonly key: string; readonly secret: string }

async function revoke(workspaceId: string): Promise<void> {
  const [key] = await fixture.test.query('select id from api_keys where workspace_id = $1', [workspaceId])
  const path = `/v1/workspaces/${workspaceId}/keys/${key?.['id']}`
  expect((await fixture.call('DELETE', path, { key: ADMIN_TOKEN })).status).toBe(204)
}

async function queuedRun({ secret }: Tenant): Promise<string> {
  const agent = await fixture.agent({ secret })
  const sent = await fixture.call('POST', '/v1/commands', { key: secret, body: { agent: agent.key, message: 'm' } })
  return sent.textAt('run.id')
}

const events = async (runId: string, headers: Record<string, string>): Promise<Response> =>
  fixture.gateway.app.request(`http://muster.test/v1/runs/${runId}/events`, {
    headers: { accept: 'text/event-stream', ...headers },
  })

const command = async (
  { secret }: Tenant,
  body: object,
  headers: Record<string, string>,
  signal = AbortSignal.timeout(20_000),
): Promise<Response> =>
  fixture.gateway.app.request('http://muster.test/v1/commands', {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal,
  })

/** How long after now what is awaited came; a time that is far too long when it did not come. */
async function msUntil(awaited: Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await Promise.race([awaited, sleep(PROMISED_MS * 2, undefined, { ref: false })])
  return performance.now() - begun
}

test("a revoked key's streams of a run and of a command end within 5 seconds, and resuming is 401; the admin token's go on", async () => {
  const tenant = await fixture.workspace()
  const runId = await queuedRun(tenant)
  const agent = await fixture.agent({ secret: tenant.secret })
  const authorization = `Bearer ${tenant.secret}`
  const ofRun = await events(runId, { authorization })
  const ofCommand = await command(tenant, { agent: agent.key, message: 'm' }, { accept: 'text/event-stream' })
  const ofAdmin = await events(runId, { authorization: `Bearer ${ADMIN_TOKEN}`, 'muster-workspace': tenant.key })
  expect([ofRun.status, ofCommand.status, ofAdmin.status]).toEqual([200, 200, 200])
  const reading = Promise.all([readSse(ofRun), readSse(ofCommand)])
  const adminReading = readSse(ofAdmin)
  await revoke(tenant.id)
  expect(await msUntil(reading)).toBeLessThan(PROMISED_MS)
  expect((await reading).map((read) => read.map(({ type }) => type))).toEqual([
    ['run.queued'],
    ['command.accepted', 'run.queued'],
  ])
  expect((await events(runId, { authorization, 'last-event-id': '1' })).status).toBe(401)
  await driver.succeed(runId, await driver.claim(runId), 'done')
  expect((await adminReading).map(({ id }) => id)).toEqual([1, 2, 3])
  expect(fixture.gateway.logs.readers).toBe(0)
}, 30_000)

test('a key that is revoked ends the waiting for a new and for a known command within 5 seconds, with what is known', async () => {
  const tenant = await fixture.workspace()
  const agent = await fixture.agent({ secret: tenant.secret })
  const known = { agent: agent.key, message: 'm', idempotency_key: 'known' }
  await command(tenant, known, {})
  const waiting = Promise.all([
    command(tenant, { agent: agent.key, message: 'm' }, { prefer: 'wait=60' }),
    command(tenant, known, { prefer: 'wait=60' }),
  ])
  await until(() => fixture.gateway.logs.readers === 2)
  await revoke(tenant.id)
  expect(await msUntil(waiting)).toBeLessThan(PROMISED_MS)
  const [fresh, repeated] = await waiting
  expect([fresh.status, repeated.status]).toEqual([202, 200])
  expect(replyOf(fresh, await fresh.text()).at('run.status')).toBe('queued')
}, 30_000)

test('while Postgres is away streams stay open, and they go on when it is back', async () => {
  await using postgres = await createPostgres()
  const { url } = await createDatabase(postgres.url)
  const database = openDatabase({ url, poolSize: 4, onError: () => undefined })
  const shared = sharedRedis()
  const gate = createGate({ redisUrl: shared.url, fleet: shared.fleet, onError: () => undefined })
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const gateway = buildApp({
    engine: { database, gate, log },
    adminToken: ADMIN_TOKEN,
    migrationsDir: MIGRATIONS_FOLDER,
  })
  const request = async (method: string, path: string, key: string, body?: object): Promise<Response> =>
    gateway.app.request(`http://muster.test${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: 'text/event-stream' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  try {
    await request('POST', '/v1/workspaces', ADMIN_TOKEN, { key: 'default' })
    const minted = await request('POST', '/v1/workspaces/default/keys', ADMIN_TOKEN, {})
    const key = replyOf(minted, await minted.text()).textAt('secret')
    await request('POST', '/v1/agents', key, { key: 'a', config: { runner: 'process', command: ['cat'] } })
    const stream = await request('POST', '/v1/commands', key, { agent: 'a', message: 'm' })
    const runId = stream.headers.get('location')?.split('/').at(-1) ?? ''
    const reading = readSse(stream)
    await postgres.stop()
    // longer than a key that was found is believed
    await sleep(PROMISED_MS)
    expect(gateway.logs.readers).toBe(1)
    await postgres.start()
    const driver = await until(() => Driver.register(database))
    await driver.succeed(runId, await driver.claim(runId), 'done')
    expect((await reading).map(({ type }) => type)).toEqual([
      'command.accepted',
      'run.queued',
      'run.started',
      'run.finished',
    ])
  } finally {
    gateway.drain()
    await gateway.settled()
    await gate.close()
    await database.close()
  }
}, 60_000)
