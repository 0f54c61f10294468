import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '@muster/runtime'
import { migrate } from '@muster/store'
import {
  createDatabase,
  createPostgres,
  createRedis,
  MIGRATIONS_FOLDER,
  openTransaction,
  removeScratchFolder,
  scratchFolder,
  type TestServer,
  until,
} from '@muster/testkit'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const WAITING = 'waiting for Postgres and its migrations'

let redis: TestServer
let home: string
const children: ChildProcess[] = []
beforeAll(async () => {
  redis = await createRedis()
  home = scratchFolder()
})
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
})
afterAll(async () => {
  await redis[Symbol.asyncDispose]()
  await removeScratchFolder(home)
})

/** A worker as a process; `said` is what it logged so far. */
async function start(databaseUrl: string) {
  const port = await freePort()
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      DATABASE_URL: databaseUrl,
      REDIS_URL: redis.url,
      MUSTER_POOLS: 'none:2',
      MUSTER_SESSIONS_ROOT: join(home, 'sessions'),
      MUSTER_CACHE_ROOT: join(home, 'cache'),
      MUSTER_HEALTH_PORT: String(port),
      MUSTER_DRAIN_MS: '0',
    },
  })
  children.push(child)
  const ended = once(child, 'exit')
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (piece) => {
      text += String(piece)
    })
  const times = (words: string): number => text.split(words).length - 1
  return {
    child,
    ended,
    times,
    said: (words: string) => until(() => times(words) > 0, { deadlineMs: 20_000, what: `"${words}" in ${text}` }),
    status: (path: string) =>
      fetch(`http://127.0.0.1:${port}${path}`).then(
        (response) => response.status,
        () => null,
      ),
  }
}

test('without Postgres a worker waits, alive and not ready, and says so once; SIGTERM ends it at once and in good order', async () => {
  const worker = await start(`postgresql://muster@127.0.0.1:${await freePort()}/muster`)
  await worker.said(WAITING)
  await new Promise((resolve) => setTimeout(resolve, 2500))
  expect([await worker.status('/livez'), await worker.status('/readyz')]).toEqual([200, 503])
  expect(worker.times(WAITING)).toBe(1)
  const asked = performance.now()
  worker.child.kill('SIGTERM')
  expect(await worker.ended).toEqual([0, null])
  expect(performance.now() - asked).toBeLessThan(1500)
})

test('a Postgres that takes connections and does not answer holds no worker that is to stop', async () => {
  await using postgres = await createPostgres()
  postgres.pause()
  const worker = await start(postgres.url)
  await until(async () => (await worker.status('/livez')) === 200, { deadlineMs: 20_000 })
  const asked = performance.now()
  worker.child.kill('SIGTERM')
  expect(await worker.ended).toEqual([0, null])
  expect(performance.now() - asked).toBeLessThan(1500)
})

test('a worker of an empty database starts as soon as that is migrated', async () => {
  await using database = await createDatabase()
  await database.query('drop schema public cascade')
  await database.query('create schema public')
  const worker = await start(database.url)
  await worker.said(WAITING)
  expect(await worker.status('/readyz')).toBe(503)
  await migrate(database.url, MIGRATIONS_FOLDER)
  await worker.said('"ready"')
  expect(await worker.status('/readyz')).toBe(200)
  worker.child.kill('SIGTERM')
  expect(await worker.ended).toEqual([0, null])
})

test('a worker waits for each migration that it knows', async () => {
  await using database = await createDatabase()
  const newest = `(select max(migration_name) from _prisma_migrations)`
  await database.query(`update _prisma_migrations set finished_at = null where migration_name = ${newest}`)
  const worker = await start(database.url)
  await worker.said('not applied: ')
  expect(await database.query('select 1 from nodes')).toEqual([])
  await database.query('update _prisma_migrations set finished_at = now()')
  await worker.said('"ready"')
  worker.child.kill('SIGTERM')
  expect(await worker.ended).toEqual([0, null])
})

test('a signal between the registration and the readiness leaves no node behind', async () => {
  await using database = await createDatabase()
  await using lock = await openTransaction(database.url, 'lock table nodes in exclusive mode')
  const worker = await start(database.url)
  const registering = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'INSERT INTO nodes%'`
  await until(async () => (await database.query(registering)).length === 1)
  worker.child.kill('SIGTERM')
  await worker.said('draining')
  await lock.commit()
  expect(await worker.ended).toEqual([0, null])
  expect(worker.times('"ready"')).toBe(0)
  expect(await database.query('select status from nodes')).toEqual([{ status: 'disconnected' }])
})
