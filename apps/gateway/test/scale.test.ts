import { readFileSync } from 'node:fs'
import { POOLS } from '@muster/contracts'
import { rebuildGate, refreshCapacities } from '@muster/engine'
import { drainNode } from '@muster/store'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { Driver } from './drive-run.ts'
import { ADMIN_TOKEN, type Fixture, openFixture } from './gateway-fixture.ts'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

const scale = (query = '') => fixture.call('GET', `/v1/ops/scale${query}`, { key: ADMIN_TOKEN })
const engine = () => ({ database: fixture.database, gate: fixture.gate, log: { info() {}, warn() {}, error() {} } })
const send = async (agent: string, more: object = {}): Promise<string> =>
  (await fixture.call('POST', '/v1/commands', { body: { agent, message: 'x', ...more } })).textAt('run.id')

test('is for operators, and says so while the gate cannot tell', async () => {
  expect((await fixture.call('GET', '/v1/ops/scale')).status).toBe(403)
  expect((await scale('?pool=podman')).at('errors.0.pointer')).toBe('query/pool')
  const cold = await scale()
  expect([cold.status, cold.at('code')]).toEqual([503, 'unavailable'])
  expect(await rebuildGate(engine())).toBe('loaded')
})

test('the answer to what the manifest asks is a number, in every pool and without any worker', async () => {
  const manifest = readFileSync(new URL('../../../infra/kubernetes/scale.yaml', import.meta.url), 'utf8')
  const [scaled, authentication] = parseAllDocuments(manifest).map((document) => document.toJS())
  const { url, valueLocation } = scaled.spec.triggers[0].metadata
  const idle = await scale()
  expect(new URL(url).pathname).toBe('/v1/ops/scale')
  expect(idle.at(valueLocation)).toBe(0)
  // the token that the manifest sends is the one that the route asks for
  expect(authentication.spec.secretTargetRef).toEqual([
    { parameter: 'token', name: 'muster', key: 'MUSTER_ADMIN_TOKEN' },
  ])
  for (const pool of POOLS) expect(idle.at(`pools.${pool}.desired_workers`)).toBe(0)
})

test('a pool that was never served asks for one worker, and no session, limit, pause or time makes it more', async () => {
  const agent = await fixture.agent()
  for (let index = 0; index < 3; index++) await send(agent.key, { session_key: 'one' })
  await send(agent.key, { delay_ms: 60_000 })
  await expect.poll(async () => (await scale()).at('pools.bubblewrap.startable')).toBe(1)
  expect((await scale()).at('pools.bubblewrap')).toMatchObject({ queued: 1, slots: 0, workers: 0, desired_workers: 1 })
})

test('workers for what runs and what could start, none for what a limit holds or a draining worker finishes', async () => {
  const leaving = await Driver.register(fixture.database)
  const held = await fixture.agent()
  const limited = await fixture.call('PATCH', `/v1/agents/${held.key}`, { body: { limits: { concurrency: 5 } } })
  expect(limited.at('applied')).toBe(true)
  for (let index = 0; index < 40; index++) await send(held.key)
  const only = await scale('?pool=bubblewrap')
  expect(Object.keys(Object(only.at('pools')))).toEqual(['bubblewrap'])
  // of the 41, one of the session and five of the agent could start, by a node of four slots
  await expect
    .poll(async () => (await scale('?pool=bubblewrap')).at('pools.bubblewrap'))
    .toMatchObject({ queued: 41, startable: 6, running: 0, workers: 1, slots: 4, desired_workers: 2 })

  await refreshCapacities(engine())
  await expect.poll(async () => (await scale()).at('pools.bubblewrap.running')).toBe(4)
  expect((await scale()).at('pools.bubblewrap.desired_workers')).toBe(2)

  const slots = await fixture.gate.audit(null)
  if (slots.kind === 'cold') throw new Error('the gate is cold')
  for (const { runId } of slots.slots) await leaving.claim(runId)
  await drainNode(fixture.database.pool, leaving.nodeId)
  expect((await scale()).at('pools.bubblewrap')).toMatchObject({ running: 4, workers: 0, slots: 0, desired_workers: 1 })
})
