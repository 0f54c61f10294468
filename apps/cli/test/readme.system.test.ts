import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createDatabase, fleetClient, REPOSITORY_FOLDER, startFleet, type TestFleet, until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'

const run = promisify(execFile)
let fleet: TestFleet
let readme = ''

beforeAll(async () => {
  readme = await readFile(join(REPOSITORY_FOLDER, 'README.md'), 'utf8')
  fleet = await startFleet({ workers: 1, slots: 2 })
})
afterAll(() => fleet[Symbol.asyncDispose]())

/** The shell block that follows a marker, as a reader would copy it; only where the fleet is differs. */
async function copied(...markers: string[]): Promise<string> {
  const script = markers.map((marker) => {
    const block = readme.split(`<!-- ${marker} -->`)[1]?.match(/```sh\n([\s\S]*?)```/)?.[1]
    if (block === undefined) throw new Error(`the README has no block ${marker}`)
    return block
  })
  const placed = script
    .join('\n')
    .replaceAll('http://127.0.0.1:8080', fleet.url)
    .replaceAll('.muster/', `${fleet.home}/`)
  const env = { ...process.env, MUSTER_ADMIN_TOKEN: fleet.facts()?.admin_token }
  return (await run('bash', ['-euo', 'pipefail', '-c', placed], { timeout: 60_000, env })).stdout
}

test('the first command of the README prints a finished run as it shows', async () => {
  const printed = await copied('first command')
  expect(printed.match(/^event: .*/gm)).toEqual([
    'event: run.queued',
    'event: run.started',
    'event: agent.log',
    'event: run.finished',
  ])
  expect(printed).toContain('"output":"hello"')
})

test('the command that waits answers with the result', async () => {
  const printed = await copied('first command', 'wait command')
  expect(printed).toContain('"output":"42"')
})

test('the command that streams prints what was accepted and the events of its run', async () => {
  const printed = await copied('first command', 'stream command')
  expect(printed.match(/^event: .*/gm)?.slice(4)).toEqual([
    'event: command.accepted',
    'event: run.queued',
    'event: run.started',
    'event: agent.log',
    'event: run.finished',
  ])
})

test('the agent that the README writes runs', async () => {
  const printed = await copied('first command', 'create agent')
  expect(printed).toContain('"output":"Hello, world!"')
})

test('the commands that make the first workspace answer with a key that works', async () => {
  const [secret = ''] = (await copied('first workspace')).match(/mst_\w+/) ?? []
  const answer = await fleetClient(fleet.url, secret).get('/v1/agents')
  expect(answer).toMatchObject({ status: 200, body: { data: [] } })
})

test('a worker started by itself serves the fleet whose servers it is told', async () => {
  const { database_url, redis_url } = fleet.facts() ?? {}
  const worker = spawn('npm', ['run', '--silent', 'worker'], {
    cwd: REPOSITORY_FOLDER,
    stdio: 'ignore',
    detached: true,
    env: {
      ...process.env,
      DATABASE_URL: database_url,
      REDIS_URL: redis_url,
      MUSTER_SESSIONS_ROOT: join(fleet.home, 'sessions'),
      MUSTER_CACHE_ROOT: join(fleet.home, 'cache'),
      MUSTER_HEALTH_PORT: '0',
    },
  })
  const ended = once(worker, 'exit')
  try {
    await until(async () => {
      const { body } = await fleet.admin.get('/v1/nodes?status=active')
      return (body as { data: unknown[] }).data.length === 2
    })
  } finally {
    process.kill(-(worker.pid ?? 0), 'SIGTERM')
    await ended
  }
})

test('the tables are made on a Postgres that has none, and a second time changes nothing', async () => {
  await using empty = await createDatabase()
  await empty.query('DROP SCHEMA public CASCADE')
  await empty.query('CREATE SCHEMA public')
  const env = { ...process.env, DATABASE_URL: empty.url }
  for (let time = 0; time < 2; time++) await run('npm', ['run', '--silent', 'migrate'], { cwd: REPOSITORY_FOLDER, env })
  expect(await empty.query('SELECT FROM runs')).toEqual([])
})
