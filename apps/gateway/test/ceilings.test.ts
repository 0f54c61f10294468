import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { buildApp } from '../src/build-app.ts'
import { envCeilings } from '../src/env-ceilings.ts'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

const answered = z.object({ errors: z.array(z.object({ pointer: z.string() })).optional() })

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

test('nobody gets more of a resource than the operator lets a run have, by its agent or by itself', async () => {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const engine = { database: fixture.database, gate: fixture.gate, log, ceilings: { memory_mb: 2048, cpu: 2 } }
  const { app, settled } = buildApp({ engine, adminToken: ADMIN_TOKEN, migrationsDir: '/nowhere' })
  const post = async (path: string, body: object): Promise<{ status: number; pointers: unknown }> => {
    const answer = await app.request(`http://muster.test${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fixture.key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const { errors = [] } = answered.parse(await answer.json())
    return { status: answer.status, pointers: errors.map(({ pointer }) => pointer) }
  }
  const agent = (key: string, memory_mb: number) =>
    post('/v1/agents', { key, config: { runner: 'process', command: ['true'], policy: { resources: { memory_mb } } } })
  expect(await agent('greedy', 2049)).toEqual({ status: 422, pointers: ['/config/policy/resources/memory_mb'] })
  expect(await agent('modest', 2048)).toEqual({ status: 201, pointers: [] })
  const command = (resources: object) =>
    post('/v1/commands', { agent: 'modest', message: 'm', policy: { resources }, idempotency_key: 'once' })
  expect(await command({ cpu: 2.5, memory_mb: 4096 })).toEqual({
    status: 422,
    pointers: ['/policy/resources/cpu', '/policy/resources/memory_mb'],
  })
  expect((await command({ cpu: 2 })).status).toBe(202)
  await settled()
})

test('ceilings are read from pairs, and one below what a run has by itself is refused', () => {
  expect(envCeilings.parse('memory_mb:4096,cpu:1.5')).toEqual({ memory_mb: 4096, cpu: 1.5 })
  for (const text of [
    '',
    'memory:1',
    'pids',
    'pids:',
    'pids:1e9',
    'pids:300,pids:400',
    'pids:300:4',
    'cpu:0.5',
    'disk_mb:-1',
  ])
    expect(envCeilings.safeParse(text).success, text).toBe(false)
})
