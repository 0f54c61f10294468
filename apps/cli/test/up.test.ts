import { existsSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import {
  isRunning,
  type ProcessRecord,
  probePostgres,
  processRecord,
  readFileIfAny,
  redisCommand,
} from '@muster/runtime'
import {
  createDatabase,
  type FleetOptions,
  launchFleet,
  removeScratchFolder,
  scratchFolder,
  sharedRedis,
  startFleet,
  type TestFleet,
  until,
} from '@muster/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { readConfig } from '../src/config.ts'
import { PROGRAMS } from '../src/fleet/programs.ts'
import { migrateDatabase } from '../src/migrate-database.ts'

const program = 'apps/cli/test/fixtures/stand-in-fleet.ts'
let home: string
beforeEach(() => {
  home = join(scratchFolder(), 'home')
})
afterEach(() => removeScratchFolder(join(home, '..')))

const start = (options: FleetOptions = {}): Promise<TestFleet> => startFleet({ program, home, workers: 2, ...options })

/** The servers of the test run, for what does not depend on a fleet having its own. */
async function givenServers(): Promise<FleetOptions> {
  return { databaseUrl: (await createDatabase()).url, redisUrl: sharedRedis().url }
}

function parts(fleet: TestFleet): ProcessRecord[] {
  const facts = fleet.facts()
  return [facts?.gateway_pid ?? 0, ...(facts?.worker_pids ?? [])].map(processRecord).filter((record) => record !== null)
}

async function serversAnswer({
  database_url,
  redis_url,
}: {
  database_url: string
  redis_url: string
}): Promise<boolean[]> {
  const redis = redisCommand(redis_url, ['PING']).then(
    () => true,
    () => false,
  )
  return Promise.all([probePostgres(Number(new URL(database_url).port), 'muster', 'muster'), redis])
}

test('a fleet starts, says where it is in a private file, and Ctrl-C leaves nothing running', async () => {
  const fleet = await start()
  const facts = fleet.facts()
  if (facts === null) throw new Error('not ready')
  expect(statSync(join(home, 'ready.json')).mode & 0o777).toBe(0o600)
  expect(statSync(join(home, 'api-key')).mode & 0o777).toBe(0o600)
  expect(facts.worker_pids).toHaveLength(2)
  expect(await serversAnswer(facts)).toEqual([true, true])
  const running = parts(fleet)
  expect(await fleet.stop()).toBe(0)
  expect(running.filter(isRunning)).toEqual([])
  expect(await serversAnswer(facts)).toEqual([false, false])
  expect(existsSync(join(home, 'ready.json'))).toBe(false)
  expect(fleet.log()).toContain(`API key  ${facts.api_key}`)
})

test('a killed gateway comes back on its port and a killed worker under a new process id, and the ready file follows', async () => {
  await using fleet = await start(await givenServers())
  const before = fleet.facts()
  process.kill(before?.gateway_pid ?? 0, 'SIGKILL')
  const afterGateway = await until(() => fleet.facts()?.gateway_pid !== before?.gateway_pid && fleet.facts())
  expect(afterGateway.url).toBe(before?.url)
  expect((await fetch(afterGateway.url)).status).toBe(401)
  process.kill(afterGateway.worker_pids[1] ?? 0, 'SIGKILL')
  const afterWorker = await until(() => fleet.facts()?.worker_pids[1] !== afterGateway.worker_pids[1] && fleet.facts())
  expect(afterWorker).toEqual({
    ...afterGateway,
    worker_pids: [afterGateway.worker_pids[0], afterWorker.worker_pids[1]],
  })
})

test('an embedded server that dies is started again under the same URL', async () => {
  await using fleet = await start({ workers: 0 })
  const { redis_url } = fleet.facts() ?? { redis_url: '' }
  await redisCommand(redis_url, ['SHUTDOWN', 'NOSAVE']).catch(() => undefined)
  await until(() => fleet.log().includes('Redis ended by itself'))
  await until(async () => (await redisCommand(redis_url, ['PING'])) === '+PONG')
})

test('on the first Ctrl-C workers finish what they run; on the second everything ends at once', async () => {
  const fleet = await start({ ...(await givenServers()), env: { MUSTER_DRAIN_MAX_MS: '3600000' } })
  writeFileSync(join(home, 'busy'), '')
  const running = parts(fleet)
  fleet.signal('SIGINT')
  await until(() => fleet.log().includes('worker-1  info  draining'))
  expect(running.filter(isRunning)).toEqual(running)
  const again = setInterval(() => fleet.signal('SIGINT'), 50)
  expect(await fleet.exited).toBe(1)
  clearInterval(again)
  await until(() => running.filter(isRunning).length === 0)
})

test('a worker that drains is waited for before the servers stop', async () => {
  const fleet = await start({ env: { MUSTER_DRAIN_MAX_MS: '3600000' } })
  const facts = fleet.facts()
  if (facts === null) throw new Error('not ready')
  writeFileSync(join(home, 'busy'), '')
  fleet.signal('SIGTERM')
  await until(() => fleet.log().includes('worker-2  info  draining'))
  expect(await serversAnswer(facts)).toEqual([true, true])
  expect(isRunning(processRecord(facts.gateway_pid) ?? { pid: 0, started: '' })).toBe(true)
  rmSync(join(home, 'busy'))
  expect(await fleet.exited).toBe(0)
})

test('after a SIGKILL of the supervisor its parts end by themselves and the next start keeps data, port and secrets', async () => {
  const first = await start()
  const facts = first.facts()
  const orphans = parts(first)
  first.signal('SIGKILL')
  await first.exited
  await until(() => orphans.filter(isRunning).length === 0)
  const second = await start({ env: { MUSTER_PORT: new URL(facts?.url ?? '').port } })
  expect(second.facts()).toMatchObject({
    url: facts?.url,
    admin_token: facts?.admin_token,
    database_url: facts?.database_url,
    redis_url: facts?.redis_url,
  })
  await second.stop()
})

test('a worker that outlives its killed supervisor is ended by the next start', async () => {
  const servers = await givenServers()
  const first = await start(servers)
  writeFileSync(join(home, 'busy'), '')
  const orphans = parts(first)
  first.signal('SIGKILL')
  await first.exited
  const second = await start(servers)
  expect(orphans.filter(isRunning)).toEqual([])
  rmSync(join(home, 'busy'))
  await second.stop()
})

test('a second fleet on the same home is refused and harms nothing; on another home it lives beside the first', async () => {
  const servers = await givenServers()
  await using first = await start({ ...servers, workers: 1 })
  const same = launchFleet({ program, home })
  expect(await same.exited).toBe(1)
  expect(same.log()).toContain('a fleet already runs on')
  await using other = await startFleet({ ...servers, program, workers: 1 })
  expect(other.url).not.toBe(first.url)
  expect(first.facts()).not.toBeNull()
  expect((await fetch(first.url)).status).toBe(401)
})

test('a port that is taken is named, with the way out', async () => {
  const squatter = createServer().listen(0, '127.0.0.1')
  await until(() => squatter.listening)
  const address = squatter.address()
  const port = typeof address === 'object' && address !== null ? String(address.port) : ''
  const fleet = launchFleet({ program, home, env: { MUSTER_PORT: port } })
  expect(await fleet.exited).toBe(1)
  expect(fleet.log()).toMatch(new RegExp(`port ${port} of .*the port is taken .set MUSTER_PORT`))
  squatter.close()
})

test('a home that cannot be made is named, with the variable', async () => {
  symlinkSync(join(home, '..', 'nowhere', 'home'), home)
  const fleet = launchFleet({ program, home })
  expect(await fleet.exited).toBe(1)
  expect(fleet.log()).toMatch(/^cannot keep the fleet in .* \(MUSTER_HOME\): E[A-Z]+: /)
})

test('a database that cannot be reached is named as the reason', async () => {
  const fleet = launchFleet({
    program,
    home,
    databaseUrl: 'postgresql://a:b@127.0.0.1:1/c',
    redisUrl: sharedRedis().url,
  })
  expect(await fleet.exited).toBe(1)
  expect(fleet.log()).toMatch(/the database cannot be brought up to date: .*ECONNREFUSED/)
})

test('a part that refuses its configuration stops the whole fleet with its name', async () => {
  const servers = await givenServers()
  await start(servers).then((fleet) => fleet.stop())
  writeFileSync(join(home, 'gateway-misconfigured'), '')
  const fleet = launchFleet({ program, home, ...servers })
  expect(await fleet.exited).toBe(1)
  expect(fleet.log()).toContain('gateway does not start (exit code 2)')
})

test('Ctrl-C while it is still starting leaves nothing running', async () => {
  const fleet = launchFleet({ program, home })
  await until(() => fleet.log().includes('starting in'))
  fleet.signal('SIGINT')
  expect(await fleet.exited).toBe(0)
  expect(fleet.log()).toContain('stopped')
  expect(existsSync(join(home, 'supervisor.json'))).toBe(false)
})

test('a second Ctrl-C ends the server that is just being started, too', async () => {
  await start({ workers: 0 }).then((fleet) => fleet.stop())
  const fleet = launchFleet({ program, home, workers: 0 })
  const state = z.object({ process: z.object({ pid: z.int(), started: z.string() }) })
  const server = await until(
    () => {
      const { process: found } = state.parse(JSON.parse(readFileIfAny(join(home, 'postgres', 'server.json')) ?? ''))
      return isRunning(found) && found
    },
    { everyMs: 1 },
  )
  // It does not get ready for as long as it is held.
  process.kill(server.pid, 'SIGSTOP')
  fleet.signal('SIGINT')
  await until(() => fleet.log().includes('draining'))
  const again = setInterval(() => fleet.signal('SIGINT'), 50)
  expect(await fleet.exited).toBe(1)
  clearInterval(again)
  process.kill(server.pid, 'SIGCONT')
  await until(() => !isRunning(server))
})

test('what an operator does not want to read is not shown, and the fleet is ready all the same', async () => {
  const fleet = await start({ ...(await givenServers()), env: { MUSTER_LOG_LEVEL: 'warn' } })
  process.kill(fleet.facts()?.worker_pids[0] ?? 0, 'SIGKILL')
  await until(() => fleet.log().includes('worker-1 ended'))
  await fleet.stop()
  expect(fleet.log()).not.toContain(' info ')
})

test('a fleet that cannot note what runs goes on', async () => {
  const fleet = await start(await givenServers())
  const before = fleet.facts()
  renameSync(home, `${home}-away`)
  process.kill(before?.worker_pids[0] ?? 0, 'SIGKILL')
  await until(() => fleet.log().match(/worker-1 .*ready/g)?.length === 2)
  renameSync(`${home}-away`, home)
  expect(fleet.log()).toMatch(/cannot write .*supervisor.json/)
  expect(await fleet.stop()).toBe(0)
})

test('a migration that fails says why', async () => {
  const migrations = join(home, '..', 'migrations')
  mkdirSync(join(migrations, '1_broken'), { recursive: true })
  writeFileSync(join(migrations, '1_broken', 'migration.sql'), 'creat table x ()')
  const { url } = await createDatabase()
  await expect(migrateDatabase(readConfig({ DATABASE_URL: url }), { ...PROGRAMS, migrations })).rejects.toThrow(
    /cannot be brought up to date: migration 1_broken failed: syntax error/,
  )
})

test('a lost or unknown API key is replaced, and the admin token kept', async () => {
  const servers = await givenServers()
  const first = await start(servers)
  const before = first.facts()
  await first.stop()
  rmSync(join(home, 'api-key'))
  const second = await start(servers)
  expect(second.facts()?.admin_token).toBe(before?.admin_token)
  expect(second.facts()?.api_key).toMatch(/^mst_/)
  expect(second.facts()?.api_key).not.toBe(before?.api_key)
  await second.stop()
})

test('workers get their share of the configuration, and not the admin token', async () => {
  await using fleet = await start({ ...(await givenServers()), env: { MUSTER_POOLS: 'bubblewrap:1,none:1' } })
  expect(fleet.log()).toMatch(/worker-1 .*ready.* pools=bubblewrap:1,none:1 has_admin_token=false/)
})
