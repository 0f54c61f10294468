import { readdirSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import {
  type FleetClient,
  fleetClient,
  GAIN_PRIVILEGES,
  reachOthers,
  readSecrets,
  signalOthers,
  sized,
  startFleet,
  type TestFleet,
  until,
} from '@muster/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { Books } from './load/books.ts'
import { expectStatus } from './load/tenants.ts'

const ROUNDS = sized({ test: 1, prove: 5 })
const TIMEOUT_MS = sized({ test: 240_000, prove: 900_000 })
const SLOTS = 6
const SMALL = { memory_mb: 128, pids: 64, disk_mb: 16 }
/** Of an attack that only its time limit ends. */
const LIMIT_MS = 5_000
const PATIENCE_MS = 90_000

type Attack = {
  readonly name: string
  /** For bash, or for Node where it is a module. */
  readonly script: string
  readonly by?: 'node'
  /** How it must end: a failure's code, or what it printed. */
  readonly ends: { readonly code: string; readonly says?: string } | { readonly output: string }
}

type Run = { readonly id: string; readonly session_id: string | null }

const created = z.object({ run: z.object({ id: z.string(), session_id: z.string().nullable() }) })

test.for([
  { pool: 'bubblewrap', pools: `bubblewrap:${SLOTS}` },
  { pool: 'runc', pools: `bubblewrap:1,runc:${SLOTS}` },
])(
  'hostile agents in $pool end by their own fault while the runs of others go on',
  { timeout: TIMEOUT_MS },
  async ({ pool, pools }, { skip }) => {
    await using fleet = await startFleet({ workers: 1, env: { MUSTER_POOLS: pools } })
    const books = new Books(fleet.facts()?.database_url ?? '')
    try {
      const before = await books.query<{ id: string; pools: object; metadata: Record<string, string> }>(
        'SELECT id, pools, metadata FROM nodes',
      )
      const [node] = before
      if (!Object.hasOwn(node?.pools ?? {}, pool)) skip(`this host has no ${pool} that works`)
      if (!node?.metadata[`holds.${pool}`]?.includes('memory_mb')) skip('this host has no control groups to write')
      const innocent = await innocentTenant(fleet, pool)
      const first = await innocent.submit()
      const mallory = await tenant(fleet, 'mallory')
      const attacks = attacksOn(fleet, first)
      for (const { name, script, by } of attacks) {
        const file = by === 'node' ? 'attack.mjs' : 'attack.sh'
        const config = { runner: 'process', command: [by ?? 'bash', `/agent/${file}`], files: { [file]: script } }
        expectStatus(await mallory.post('/v1/agents', { key: keyOf(name), config }), 201)
      }
      for (let round = 0; round < ROUNDS; round += 1) {
        const tried: { readonly attack: Attack; readonly run: Run }[] = []
        for (const attack of attacks) {
          const policy = { runtime_type: pool, resources: SMALL, retry: { max_attempts: 1 } }
          const command = { agent: keyOf(attack.name), message: 'go', policy, timeout_ms: limitOf(attack) }
          const { run } = created.parse(expectStatus(await mallory.post('/v1/commands', command), 202))
          tried.push({ attack, run })
        }
        while ((await unfinishedOf(books, tried)) > 0) await innocent.submit()
        for (const { attack, run } of tried) {
          const [row] = await books.query<{ status: string; output: unknown; failure: Record<string, unknown> | null }>(
            'SELECT status, output, failure FROM runs WHERE id = $1',
            run.id,
          )
          const { ends } = attack
          const wanted =
            'output' in ends
              ? { status: 'succeeded', output: ends.output }
              : { failure: { code: ends.code, message: expect.stringContaining(ends.says ?? '') } }
          expect({ attack: attack.name, ...row }).toMatchObject({ attack: attack.name, ...wanted })
        }
      }
      await expectUnhurt(fleet, books, innocent.submitted, before)
    } finally {
      await books.close()
    }
  },
)

/** Nothing of the fleet is lost, blocked, left behind or still taken. */
async function expectUnhurt(
  fleet: TestFleet,
  books: Books,
  innocent: readonly Run[],
  before: readonly { readonly id: string }[],
): Promise<void> {
  await until(async () => ((await books.unfinished()) === 0 ? true : undefined), {
    deadlineMs: 60_000,
    what: 'the innocent runs to end',
  })
  expect(innocent.length).toBeGreaterThan(2)
  const ids = innocent.map((run) => run.id)
  const failed = await books.query(
    `SELECT id, status, failure, attempt_number FROM runs WHERE id = ANY($1) AND (status <> 'succeeded' OR attempt_number <> 1)`,
    ids,
  )
  expect(failed).toEqual([])
  expect(await books.query(`SELECT id FROM nodes WHERE status = 'active'`)).toEqual(before.map(({ id }) => ({ id })))
  expect(await books.eventFaults()).toEqual([])
  await until(
    async () => {
      const answer = await fleet.admin.get('/v1/ops/invariants')
      const { violations } = z.object({ violations: z.array(z.unknown()) }).parse(answer.body)
      return violations.length === 0 ? true : undefined
    },
    { deadlineMs: 20_000, everyMs: 250, what: 'no violation at rest' },
  )
  const runs = (await books.query<{ id: string }>('SELECT id FROM runs')).map((run) => run.id)
  await until(() => (leftovers(runs).length === 0 ? true : undefined), {
    deadlineMs: 10_000,
    what: 'no process and no control group of a run to be left',
  })
  // What an attack filled went with its run; a session keeps its folder.
  const sessions = new Set(innocent.map((run) => run.session_id))
  expect(readdirSync(join(fleet.home, 'sessions', 'sessions')).filter((name) => !sessions.has(name))).toEqual([])
}

/** The processes and control groups of this host that carry the id of one of these runs. */
function leftovers(runs: readonly string[]): string[] {
  const carries = (text: string) => runs.some((id) => text.includes(id))
  const processes = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && carries(commandOf(pid)))
  const trees = readdirSync('/sys/fs/cgroup').flatMap((tree) => {
    try {
      return readdirSync(join('/sys/fs/cgroup', tree, 'muster')).filter(carries)
    } catch {
      return carries(tree) ? [tree] : []
    }
  })
  return [...processes, ...trees]
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function attacksOn(fleet: TestFleet, other: Run): readonly Attack[] {
  const facts = fleet.facts()
  const portOf = (url = '') => Number(new URL(url).port)
  const pids = [process.pid, fleet.supervisor.pid, facts?.gateway_pid ?? 0, ...(facts?.worker_pids ?? [])]
  const folder = join(fleet.home, 'sessions', 'sessions', other.session_id ?? '')
  return [
    {
      name: 'fork bomb',
      script: 'f() { f | f & }; while :; do f; sleep 0.1; done 2>/dev/null',
      ends: { code: 'timed_out' },
    },
    { name: 'ten GiB of memory', script: 'head -c 10G /dev/zero | tail', ends: { code: 'memory_limit_exceeded' } },
    { name: 'endless output', script: 'yes endless', ends: { code: 'timed_out' } },
    { name: 'endless short lines', script: 'yes ""', ends: { code: 'timed_out' } },
    { name: 'endless messages', script: `yes '{"type":"log","text":""}'`, ends: { code: 'timed_out' } },
    {
      name: 'a million small files',
      script: 'i=0; while :; do mkdir $i; (cd $i; touch {1..500}); i=$((i + 1)); done',
      ends: { code: 'disk_limit_exceeded', says: '4096 files' },
    },
    {
      name: 'a full session folder',
      script: 'i=0; while :; do head -c 10M /dev/zero > $i; i=$((i + 1)); done',
      ends: { code: 'disk_limit_exceeded', says: '16 MiB' },
    },
    {
      name: 'a full folder of names that are no text',
      script: `i=0; while :; do head -c 10M /dev/zero > $'\\377'$i; i=$((i + 1)); done`,
      ends: { code: 'disk_limit_exceeded', says: '16 MiB' },
    },
    {
      name: 'a full tmp',
      script: 'cat /dev/zero > /tmp/x',
      ends: { code: 'agent_exit', says: 'No space left on device' },
    },
    {
      name: 'a process left behind',
      script: '(setsid sleep 100000 >/dev/null 2>&1 &) ; echo done',
      ends: { output: 'done' },
    },
    {
      name: 'a forged failure',
      script: `echo '{"type":"error","code":"worker_lost","message":"x"}'`,
      ends: { code: 'agent_error', says: 'worker_lost' },
    },
    { name: 'an end by its own init', script: 'kill -9 1; kill -9 -1; echo alive', ends: { output: 'alive' } },
    {
      name: 'reading',
      script: readSecrets({
        files: [join(folder, 'note'), join(fleet.home, 'ready.json'), join(fleet.home, 'admin-token')],
        folders: [fleet.home, join(fleet.home, 'sessions', 'sessions')],
        pids,
        variables: ['DATABASE_URL', 'REDIS_URL', 'MUSTER_ADMIN_TOKEN'],
      }),
      ends: { output: '' },
    },
    { name: 'signalling', script: signalOthers(pids), ends: { output: '' } },
    {
      name: 'reaching',
      by: 'node',
      script: reachOthers({
        hosts: Object.values(networkInterfaces()).flatMap((all) => all?.map((one) => one.address) ?? []),
        ports: [portOf(facts?.url), portOf(facts?.database_url), portOf(facts?.redis_url)],
        sockets: [],
      }),
      ends: { output: '' },
    },
    { name: 'gaining rights', script: GAIN_PRIVILEGES, ends: { output: '' } },
  ]
}

const limitOf = ({ ends }: Attack): number => ('code' in ends && ends.code === 'timed_out' ? LIMIT_MS : PATIENCE_MS)

const keyOf = (name: string): string => name.toLowerCase().replaceAll(' ', '-')

async function unfinishedOf(books: Books, tried: readonly { readonly run: Run }[]): Promise<number> {
  const rows = await books.query<{ n: number }>(
    `SELECT count(*)::integer AS n FROM runs WHERE id = ANY($1) AND ended_at IS NULL`,
    tried.map(({ run }) => run.id),
  )
  return rows[0]?.n ?? 0
}

async function tenant(fleet: TestFleet, key: string): Promise<FleetClient> {
  const made = expectStatus(await fleet.admin.post('/v1/workspaces', { key }), 201)
  const { id } = z.object({ workspace: z.looseObject({ id: z.string() }) }).parse(made).workspace
  const keys = expectStatus(await fleet.admin.post(`/v1/workspaces/${id}/keys`, {}), 201)
  return fleetClient(fleet.url, z.looseObject({ secret: z.string() }).parse(keys).secret)
}

/** Sends one short run after the other, each in the session that holds a secret, and waits for each. */
async function innocentTenant(fleet: TestFleet, pool: string) {
  const client = await tenant(fleet, 'innocent')
  const config = { runner: 'process', command: ['sh', '-c', 'echo secret >> note; tail -n 1 note'] }
  expectStatus(await client.post('/v1/agents', { key: 'honest', config }), 201)
  const submitted: Run[] = []
  return {
    submitted,
    async submit(): Promise<Run> {
      const command = { agent: 'honest', message: 'go', session_key: 'diary', policy: { runtime_type: pool } }
      const answer = await client.post('/v1/commands', command, { prefer: 'wait=30' })
      const { run } = created.parse(answer.body)
      submitted.push(run)
      return run
    },
  }
}
