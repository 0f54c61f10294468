import { parsePrometheus, sized } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from '../src/build-app.ts'
import { GATEWAY_METRICS } from '../src/metrics/gateway-metrics.ts'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

const AGENTS = sized({ test: 100, prove: 10_000 })

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

const scrape = async () => parsePrometheus(await (await fixture.gateway.app.request('/metrics')).text())
type Families = Awaited<ReturnType<typeof scrape>>
const value = (
  families: Families,
  name: string,
  labels: Record<string, string> = {},
  suffix = '',
): number | undefined =>
  families
    .get(`muster_${name}`)
    ?.samples.find(
      (sample) =>
        sample.name === `muster_${name}${suffix}` &&
        Object.entries(labels).every(([label, wanted]) => sample.labels[label] === wanted),
    )?.value

test('a scrape parses and shows what the load moved', async () => {
  const agent = await fixture.agent()
  for (let command = 0; command < 3; command++)
    await fixture.call('POST', '/v1/commands', {
      body: { agent: agent.key, message: 'hello', idempotency_key: 'once' },
    })
  await fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'other', idempotency_key: 'once' } })
  await fixture.call('POST', '/v1/commands', { body: { agent: 'nobody', message: 'hello' } })
  const families = await scrape()
  for (const name of GATEWAY_METRICS) expect(families.has(`muster_${name}`), name).toBe(true)
  expect(value(families, 'commands_total', { outcome: 'accepted' })).toBe(1)
  expect(value(families, 'commands_total', { outcome: 'deduplicated' })).toBe(2)
  expect(value(families, 'commands_total', { outcome: 'idempotency_conflict' })).toBe(1)
  expect(value(families, 'commands_total', { outcome: 'agent_not_found' })).toBe(1)
  expect(value(families, 'command_accept_seconds', {}, '_count')).toBe(3)
  expect(value(families, 'http_requests_total', { route: 'postCommand', status: '202' })).toBe(1)
  expect(value(families, 'http_requests_total', { route: 'postCommand', status: '404' })).toBe(1)
  expect(value(families, 'queue_oldest_age_seconds', { pool: 'bubblewrap' })).toBeGreaterThan(0)
  expect(value(families, 'postgres_up')).toBe(1)
  expect(value(families, 'gate_breaker_open', { connection: 'scripts' })).toBe(0)
})

test('the number of series does not grow with agents, workspaces or sessions', async () => {
  const use = async (index: number): Promise<void> => {
    const agent = await fixture.agent()
    await fixture.call('POST', '/v1/commands', {
      body: { agent: agent.key, message: 'hello', session_key: `s${index}`, lane: `lane${index % 100}` },
    })
  }
  for (let index = 0; index < 10; index++) await use(index)
  const before = count(await scrape())
  for (let index = 10; index < AGENTS; index += 10)
    await Promise.all(Array.from({ length: 10 }, (_, k) => use(index + k)))
  expect(count(await scrape())).toBe(before)
}, 300_000)

test('a token guards the metrics where one is set', async () => {
  const { database, gate } = fixture
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined }
  const gateway = buildApp({
    engine: { database, gate, log },
    adminToken: ADMIN_TOKEN,
    migrationsDir: '',
    metricsToken: 'token-of-the-scrapes',
  })
  const ask = (authorization: string) => gateway.app.request('/metrics', { headers: { authorization } })
  expect((await gateway.app.request('/metrics')).status).toBe(401)
  expect((await ask(`Bearer ${ADMIN_TOKEN}`)).status).toBe(401)
  expect((await ask('Bearer token-of-the-scrapes')).status).toBe(200)
  gateway.drain()
})

const count = (families: Families): number =>
  [...families.values()].reduce((total, { samples }) => total + samples.length, 0)
