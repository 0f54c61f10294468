import { parsePrometheus, until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WORKER_METRICS } from '../src/metrics/worker-metrics.ts'
import type { RunningWorker } from '../src/start-worker.ts'
import { openSmallFleet, type SmallFleet } from './small-fleet.ts'

const TOKEN = 'the-token-of-the-scrape'
let fleet: SmallFleet
let worker: RunningWorker
beforeAll(async () => {
  fleet = await openSmallFleet()
})
afterAll(() => fleet.close())

const WORKS = `
  console.log(JSON.stringify({ type: 'usage', provider: 'p', model: 'm', input_tokens: 7, output_tokens: 5, cost_usd: 0.25 }))
  console.log(JSON.stringify({ type: 'message', text: 'hello' }))`

test('a worker shows what it did, and only with a token where one is set', async () => {
  worker = await fleet.worker({ MUSTER_POOLS: 'none:3', MUSTER_METRICS_TOKEN: TOKEN })
  expect((await fetch(`${worker.healthUrl}/metrics`)).status).toBe(401)

  await fleet.agent('works', { command: ['node', '-e', WORKS] })
  await fleet.agent('fails', { command: ['/bin/false'] })
  await fleet.agent('waits', { command: ['/bin/sleep', '60'] })
  const policy = { runtime_type: 'none' as const }
  const runs = [
    await fleet.submit({ agent: 'works', message: '', policy }),
    await fleet.submit({ agent: 'works', message: '', policy }),
    await fleet.submit({ agent: 'fails', message: '', policy: { ...policy, retry: { max_attempts: 1 } } }),
  ]
  const waiting = await fleet.submit({ agent: 'waits', message: '', policy })
  await fleet.run(runs[0]?.run.id ?? '', 'succeeded')
  await fleet.run(runs[1]?.run.id ?? '', 'succeeded')
  await fleet.run(runs[2]?.run.id ?? '', 'failed')
  await fleet.run(waiting.run.id, 'running')

  const { families, type } = await until(
    async () => {
      const scraped = await scrape(worker)
      const started = sum(scraped.families, 'sandbox_start_seconds', '_count')
      // a run has ended in Postgres a moment before its worker lets go of it
      const settled = started === 4 && sum(scraped.families, 'runs_active') === 1
      return settled && sum(scraped.families, 'duties_total') > 0 ? scraped : undefined
    },
    { deadlineMs: 10_000, what: 'every start, every end and a tick of this worker' },
  )
  expect(type).toContain('version=0.0.4')
  for (const name of WORKER_METRICS) expect(families.has(`muster_${name}`)).toBe(true)
  expect(sum(families, 'schedule_to_start_seconds', '_count')).toBe(4)
  expect(sum(families, 'sandbox_start_seconds', '_count')).toBe(4)
  expect(sum(families, 'run_duration_seconds', '_count')).toBe(3)
  expect(families.get('muster_runs_total')?.samples).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ labels: { pool: 'none', status: 'succeeded' }, value: 2 }),
      expect.objectContaining({ labels: { pool: 'none', status: 'failed' }, value: 1 }),
    ]),
  )
  expect(sum(families, 'runs_active')).toBe(1)
  expect(families.get('muster_worker_slots')?.samples).toEqual([
    { name: 'muster_worker_slots', labels: { pool: 'none', state: 'used' }, value: 1 },
    { name: 'muster_worker_slots', labels: { pool: 'none', state: 'limit' }, value: 3 },
  ])
  expect(families.get('muster_tokens_total')?.samples.map(({ labels, value }) => [labels['direction'], value])).toEqual(
    [
      ['input', 14],
      ['output', 10],
    ],
  )
  expect(sum(families, 'cost_usd_total')).toBe(0.5)
  expect(sum(families, 'events_total')).toBeGreaterThanOrEqual(4)
  expect(sum(families, 'gate_rebuilds_total')).toBeGreaterThanOrEqual(1)
  expect(sum(families, 'gate_breaker_open')).toBe(0)
  expect(sum(families, 'slot_leaks_total')).toBe(0)
  const duties = families.get('muster_duties_total')?.samples ?? []
  expect(duties.filter(({ labels, value }) => labels['outcome'] === 'failed' && value > 0)).toEqual([])
})

test('a lost run is counted where it is taken and timed where it starts again', async () => {
  await fleet.database.pool.query("UPDATE nodes SET missed = 9, status = 'inactive'")
  const second = await fleet.worker({ MUSTER_POOLS: 'none:3', MUSTER_METRICS_TOKEN: TOKEN })
  await until(
    async () => {
      const both = [await scrape(worker), await scrape(second)]
      const total = (name: string, suffix = '') =>
        both.reduce((seen, { families }) => seen + sum(families, name, suffix), 0)
      expect(total('slot_leaks_total')).toBe(0)
      return total('run_recoveries_total') > 0 && total('recovery_seconds', '_count') > 0 ? true : undefined
    },
    { deadlineMs: 20_000, what: 'the lost run to start again' },
  )
})

async function scrape({ healthUrl }: RunningWorker) {
  const response = await fetch(`${healthUrl}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })
  return { families: parsePrometheus(await response.text()), type: response.headers.get('content-type') }
}

const sum = (families: ReturnType<typeof parsePrometheus>, name: string, suffix = ''): number =>
  (families.get(`muster_${name}`)?.samples ?? [])
    .filter((sample) => sample.name === `muster_${name}${suffix}`)
    .reduce((total, { value }) => total + value, 0)
