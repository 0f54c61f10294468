import { createGate } from '@muster/gate'
import { openDatabase } from '@muster/store'
import { createDatabase, createPostgres, createRedis, MIGRATIONS_FOLDER, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { buildApp } from '../src/build-app.ts'
import { ADMIN_TOKEN, openFixture, type Reply, replyOf } from './gateway-fixture.ts'

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

test('without Postgres every route answers 503 with a retry hint, none 500; it serves again as soon as Postgres is back', async () => {
  await using postgres = await createPostgres()
  const test = await createDatabase(postgres.url)
  const database = openDatabase({ url: test.url, poolSize: 4, onError: () => undefined })
  const gate = createGate({ redisUrl: 'redis://127.0.0.1:1', onError: () => undefined })
  const gateway = buildApp({
    engine: { database, gate, log: silent },
    adminToken: ADMIN_TOKEN,
    migrationsDir: MIGRATIONS_FOLDER,
  })
  const call = async (method: string, path: string, body?: object): Promise<Reply> => {
    const response = await gateway.app.request(`http://muster.test${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return replyOf(response, await response.text())
  }
  try {
    await call('POST', '/v1/workspaces', { key: 'default' })
    await call('POST', '/v1/agents', { key: 'a', config: { runner: 'process', command: ['cat'] } })
    expect((await call('POST', '/v1/commands', { agent: 'a', message: 'm' })).status).toBe(202)
    await postgres.stop()
    const requests: readonly [string, string, object?][] = [
      ['POST', '/v1/commands', { agent: 'a', message: 'm' }],
      ['POST', '/v1/commands/batch', { commands: Array.from({ length: 200 }, () => ({ agent: 'a', message: 'm' })) }],
      ['GET', '/v1/tasks'],
      ['GET', '/v1/runs/run_01k00000000000000000000000'],
      ['GET', '/v1/runs/run_01k00000000000000000000000/events'],
      ['PATCH', '/v1/agents/a', { paused: true }],
      ['POST', '/v1/agents', { key: 'b', config: { runner: 'process', command: ['cat'] } }],
      ['DELETE', '/v1/agents/a'],
      ['GET', '/v1/workspaces'],
      ['GET', '/v1/sessions'],
      ['GET', '/v1/classes'],
      ['GET', '/v1/nodes'],
    ]
    for (const [method, path, body] of requests) {
      const reply = await call(method, path, body)
      expect([method, path, reply.status, reply.at('code')]).toEqual([method, path, 503, 'unavailable'])
      expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(reply.at('agent_contract.next_actions.0.action')).toBe('retry_after_wait')
    }
    expect((await call('GET', '/readyz')).status).toBe(503)
    expect((await call('GET', '/livez')).status).toBe(200)
    await postgres.start()
    await until(async () => (await call('GET', '/readyz')).status === 200)
    for (const [method, path, body] of requests) expect((await call(method, path, body)).status).toBeLessThan(500)
  } finally {
    gateway.drain()
    await gateway.settled()
    await gate.close()
    await database.close()
  }
})

test('without Redis commands are accepted, changes are kept, and readiness tells of it', async () => {
  await using redis = await createRedis()
  const fixture = await openFixture(redis.url)
  try {
    const agent = await fixture.agent()
    for (const fault of ['stop', 'pause'] as const) {
      await redis[fault]()
      const sent = await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'm' } })
      expect(sent.status).toBe(202)
      const patched = await fixture.call('PATCH', `/v1/agents/${agent.key}`, { body: { paused: true } })
      expect([patched.status, patched.at('applied'), patched.at('agent.paused')]).toEqual([200, false, true])
      expect((await fixture.call('GET', '/v1/classes')).at('data.0')).toMatchObject({
        agent_key: agent.key,
        running: 0,
      })
      expect((await fixture.call('GET', `/v1/runs/${sent.textAt('run.id')}/explain`)).status).toBe(200)
      const ready = await fixture.call('GET', '/readyz')
      expect([ready.status, ready.at('checks.redis.status'), ready.at('checks.redis.required')]).toEqual([
        200,
        'failed',
        false,
      ])
      if (fault === 'pause') redis.resume()
      else await redis.start()
    }
  } finally {
    redis.resume()
    await fixture.close()
  }
})
