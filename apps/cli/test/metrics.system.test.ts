import { spawnSync } from 'node:child_process'
import { newId } from '@muster/core'
import { createGate, type Gate } from '@muster/gate'
import { METRICS } from '@muster/runtime'
import { createPostgres, createRedis, parsePrometheus, startFleet, type TestFleet, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { expectStatus } from './load/tenants.ts'

const USAGE = '{"type":"usage","provider":"p","model":"m","input_tokens":7,"output_tokens":5,"cost_usd":0.25}'
const PYTHON = '/usr/bin/python3'
const PARSE =
  'import sys; from prometheus_client.parser import text_string_to_metric_families as read; print(*[f.name for f in read(sys.stdin.read())])'

const runSchema = z.looseObject({ run: z.looseObject({ id: z.string() }) })

/* Which metrics of the fleet's processes have shown two different values, or counted at all. */
class Watch {
  readonly moved = new Set<string>()
  readonly scrapes = new Map<string, string>()
  readonly #first = new Map<string, number>()
  readonly #fleet: TestFleet

  constructor(fleet: TestFleet) {
    this.#fleet = fleet
  }

  async look(): Promise<void> {
    const workers = [...this.#fleet.log().matchAll(/health_url\W+(http:\/\/[\d.:]+)/g)].map(([, url]) => url ?? '')
    await Promise.all([this.#fleet.url, ...workers].map((url) => this.#scrape(url)))
  }

  async #scrape(url: string): Promise<void> {
    const text = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5000) }).then(
      (response) => response.text(),
      () => null,
    )
    if (text === null) return
    this.scrapes.set(url, text)
    for (const [family, { type, samples }] of parsePrometheus(text)) {
      for (const { name, labels, value } of samples) {
        if (Number.isNaN(value)) continue
        const series = `${url} ${name} ${JSON.stringify(labels)}`
        const first = this.#first.get(series) ?? (type === 'gauge' ? value : 0)
        this.#first.set(series, first)
        if (value !== first) this.moved.add(family.replace(/^muster_/, ''))
      }
    }
  }

  /** Looks until all of these have moved. */
  until(...names: (keyof typeof METRICS)[]): Promise<true> {
    const waiting = () => names.filter((name) => !this.moved.has(name))
    return until(
      async () => {
        await this.look()
        return waiting().length === 0 ? true : undefined
      },
      { deadlineMs: 60_000, everyMs: 200, what: `${names.join(', ')} to move` },
    ).catch((error: unknown) => {
      throw new Error(`never moved: ${waiting().join(', ')}`, { cause: error })
    })
  }
}

test('every metric of the catalog moves under the load that should move it', async () => {
  await using redis = await createRedis()
  await using postgres = await createPostgres()
  await using fleet = await startFleet({
    workers: 2,
    slots: 2,
    redisUrl: redis.url,
    databaseUrl: postgres.url,
    env: { MUSTER_DRAIN_MAX_MS: '1000' },
  })
  const gate = createGate({ redisUrl: redis.url })
  const watch = new Watch(fleet)
  try {
    expect(await gate.connected(5000)).toBe(true)
    await watch.look()

    for (const [key, script] of [
      ['tells', `echo '${USAGE}'; echo '{"type":"message","text":"hello"}'`],
      ['stays', 'sleep 300'],
    ] as const) {
      const config = { runner: 'process', command: ['/bin/sh', '-c', script] }
      expectStatus(await fleet.client.post('/v1/agents', { key, config }), 201)
    }
    for (let n = 0; n < 3; n++) await submit(fleet, { agent: 'tells' })
    await submit(fleet, { agent: 'tells', not_before: new Date(Date.now() + 8000).toISOString() })
    await watch.until('commands_total', 'command_accept_seconds', 'http_requests_total', 'http_request_seconds')
    await watch.until('runs_total', 'run_duration_seconds', 'sandbox_start_seconds', 'schedule_to_start_seconds')
    await watch.until('tokens_total', 'cost_usd_total', 'events_total', 'queue_due_later')
    await watch.until('duties_total', 'duty_seconds', 'tick_age_seconds', 'duty_age_seconds')

    await leakSlot(gate)
    await watch.until('slot_leaks_total')

    const stays = []
    for (let n = 0; n < 6; n++) stays.push(await submit(fleet, { agent: 'stays' }))
    const follows = new AbortController()
    const stream = await fleet.client.fetch(`/v1/runs/${stays[5]}/events`, {
      headers: { accept: 'text/event-stream' },
      signal: follows.signal,
    })
    const read = stream.text().catch(() => null)
    await watch.until(
      'runs_active',
      'worker_slots',
      'slots',
      'queue_depth',
      'queue_oldest_age_seconds',
      'stream_clients',
    )
    follows.abort()
    await read

    await loseSlot(gate, stays)
    await watch.until('slot_restores_total')

    await cancelQueued(fleet, stays)
    process.kill(fleet.facts()?.worker_pids[0] ?? 0, 'SIGKILL')
    await watch.until('run_recoveries_total', 'recovery_seconds')
    // one that is held, unlike one that was killed, has no successor that beats in its place
    const held = fleet.facts()?.worker_pids[1] ?? 0
    process.kill(held, 'SIGSTOP')
    await watch.until('nodes').finally(() => process.kill(held, 'SIGCONT'))
    await redis.command('FLUSHALL')
    await watch.until('gate_rebuilds_total')
    redis.pause()
    await watch.until('gate_breaker_open', 'gate_warm')
    redis.resume()
    await postgres.stop()
    await watch.until('postgres_up')
    await postgres.start()

    expect(Object.keys(METRICS).filter((name) => !watch.moved.has(name))).toEqual([])
    parseWithPrometheus([...watch.scrapes.values()])
  } finally {
    await gate.close()
  }
}, 400_000)

async function submit(fleet: TestFleet, command: { agent: string; not_before?: string }): Promise<string> {
  const policy = { workspace_access: 'none' }
  return runSchema.parse(
    expectStatus(await fleet.client.post('/v1/commands', { message: 'go', policy, ...command }), 202),
  ).run.id
}

/** Lets nothing wait that could take the slots of a worker's successor before its runs are known to be lost. */
async function cancelQueued(fleet: TestFleet, runIds: readonly string[]): Promise<void> {
  for (const id of runIds) {
    const { run } = runSchema.parse(expectStatus(await fleet.client.get(`/v1/runs/${id}`), 200))
    if (run['status'] === 'queued') expectStatus(await fleet.client.post(`/v1/runs/${id}/cancel`), 202)
  }
}

/** A slot that a node which nobody knows has started, of a run which nobody knows. */
async function leakSlot(gate: Gate): Promise<void> {
  const runId = newId('run')
  const offer = {
    workspaceId: newId('workspace'),
    agentId: newId('agent'),
    lane: 'main',
    classKey: `cls_${'0'.repeat(32)}`,
    pool: 'bubblewrap',
    jobName: 'nobody/nothing/main',
    runId,
    priority: 100,
    order: 1,
    front: true,
    notBeforeMs: null,
    queuedAtMs: 0,
  } as const
  const keep = { nodeId: newId('node'), slots: { bubblewrap: 1 } }
  await until(
    async () => {
      const reply = await gate.release([], [offer], keep)
      return reply.kind === 'warm' && reply.kept.some((slot) => slot.runId === runId) ? true : undefined
    },
    { deadlineMs: 60_000, what: 'the slot that leaks' },
  )
}

/** Takes the slot of a running run away. */
async function loseSlot(gate: Gate, runIds: readonly string[]): Promise<void> {
  await until(
    async () => {
      const known = await gate.lookup(runIds)
      const started = known.kind === 'warm' ? known.runs.filter((run) => run.state === 'started') : []
      const [run] = started
      if (run === undefined) return undefined
      await gate.release([{ runId: run.runId, admission: run.admission }], [])
      return true
    },
    { deadlineMs: 60_000, what: 'a running run' },
  )
}

/** With the client library of the Prometheus project, where this machine has it. */
function parseWithPrometheus(scrapes: readonly string[]): void {
  const has = spawnSync(PYTHON, ['-c', 'import prometheus_client.parser']).status === 0
  expect(has || process.env['MUSTER_PROVE'] !== '1', 'npm run prove installs python3-prometheus-client').toBe(true)
  if (!has) return
  for (const scrape of scrapes) {
    const parsed = spawnSync(PYTHON, ['-c', PARSE], { input: scrape, encoding: 'utf8' })
    expect(parsed.stderr).toBe('')
    // the library names a counter without its suffix
    const names = [...parsePrometheus(scrape).values()].map(({ name, type }) =>
      type === 'counter' ? name.replace(/_total$/, '') : name,
    )
    expect(parsed.stdout.trim().split(' ').toSorted()).toEqual(names.toSorted())
  }
}
