import { createAcceptor } from '@muster/engine'
import { createGate } from '@muster/gate'
import { createLogger } from '@muster/runtime'
import { createAgent, createWorkspace, type Database, openDatabase, takeTick } from '@muster/store'
import { createDatabase, sharedRedis, until } from '@muster/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Gateway, startGateway } from '../src/start-gateway.ts'
import { Driver } from './drive-run.ts'
import { ADMIN_TOKEN } from './gateway-fixture.ts'

const logger = createLogger({ app: 'test', level: 'fatal' })

let fresh: Awaited<ReturnType<typeof createDatabase>>
let database: Database
let gateway: Gateway
beforeEach(async () => {
  fresh = await createDatabase()
  const redis = sharedRedis()
  database = openDatabase({ url: fresh.url, poolSize: 4, onError: () => undefined })
  gateway = await startGateway(
    {
      databaseUrl: fresh.url,
      redisUrl: redis.url,
      fleet: redis.fleet,
      host: '127.0.0.1',
      port: 0,
      adminToken: ADMIN_TOKEN,
      logLevel: 'fatal',
      ceilings: {},
      lossesMax: 5,
      migrationsDir: '/nowhere',
      metricsToken: null,
      metricsTenants: 'none',
      otlpEndpoint: null,
    },
    logger,
  )
})
afterEach(async () => {
  await gateway.close()
  await database.close()
  await fresh.drop()
})

/** A run that a node holds which was not heard of for two ticks. */
async function heldByTheSilent(): Promise<{ readonly runId: string; readonly nodeId: string }> {
  const { resource: workspace } = await createWorkspace(database, { key: 'acme' })
  await createAgent(database, workspace.id, { key: 'a', config: { runner: 'process', command: ['true'] } })
  const gate = createGate({ redisUrl: 'redis://127.0.0.1:1' })
  const acceptor = createAcceptor({ database, gate, log: logger })
  const command = { agent: 'a', message: 'm' }
  const accepted = await acceptor.accept({ workspace, command, idempotencyKey: null })
  if (accepted.outcome !== 'accepted') throw new Error('not accepted')
  await acceptor.settled()
  await gate.close()
  const driver = await Driver.register(database)
  await driver.claim(accepted.run.id)
  await database.pool.query('UPDATE nodes SET missed = 2')
  return { runId: accepted.run.id, nodeId: driver.nodeId }
}
const statusOf = async (table: 'runs' | 'nodes', id: string) =>
  (await database.pool.query<{ status: string }>(`SELECT status FROM ${table} WHERE id = $1`, [id])).rows[0]?.status

test('where no worker ticks a gateway does: the dead are known as such, and their runs wait again', async () => {
  const { runId, nodeId } = await heldByTheSilent()
  await until(async () => (await statusOf('nodes', nodeId)) === 'inactive', { what: 'the node to be dead' })
  await until(async () => (await statusOf('runs', runId)) === 'queued', { what: 'its run to wait' })
  const explained = async (): Promise<unknown> => {
    const answer = await fetch(`${gateway.url}/v1/runs/${runId}/explain`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'muster-workspace': 'acme' },
    })
    return answer.json()
  }
  await until(
    async () => {
      expect(await explained()).toMatchObject({ explain: { blocked_by: { kind: 'no_node' } } })
      return true
    },
    { what: 'explain to say so' },
  )
  const health = await fetch(`${gateway.url}/health`)
  expect(await health.json()).toMatchObject({ tick: { status: 'ok' }, workers: { active: 0 } })
})

test('while somebody else ticks a gateway does not', async () => {
  const { nodeId } = await heldByTheSilent()
  for (let look = 0; look < 20; look++) {
    await takeTick(database.pool, 0)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  expect(await statusOf('nodes', nodeId)).toBe('active')
})
