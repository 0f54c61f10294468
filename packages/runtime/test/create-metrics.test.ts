import { parsePrometheus } from '@muster/testkit'
import { expect, test } from 'vitest'
import { createMetrics, METRICS, type MetricName, type MetricSpec, mayScrape } from '../src/index.ts'

test('names follow the conventions: seconds, totals, bounded labels', () => {
  for (const [name, spec] of Object.entries(METRICS) as [string, MetricSpec][]) {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
    expect(name.endsWith('_total')).toBe(spec.kind === 'counter')
    if (spec.kind === 'histogram') expect(name.endsWith('_seconds') && (spec.buckets?.length ?? 0) > 5).toBe(true)
    expect(spec.labels.filter((label) => /agent|workspace|tenant|run|session|label|node/.test(label))).toEqual([])
  }
})

test('a scrape shows every named metric once and counters without labels from the start', async () => {
  const metrics = createMetrics(Object.keys(METRICS) as MetricName[])
  metrics.includeProcess()
  const { text, contentType } = await metrics.scrape()
  expect(contentType).toContain('text/plain')
  const families = parsePrometheus(text)
  for (const [name, { kind, help }] of Object.entries(METRICS))
    expect(families.get(`muster_${name}`)).toMatchObject({ type: kind, help })
  expect(families.get('muster_slot_leaks_total')?.samples).toEqual([
    { name: 'muster_slot_leaks_total', labels: {}, value: 0 },
  ])
  expect([...families.keys()].some((name) => name.startsWith('process_cpu'))).toBe(true)
})

test('label sets stay bounded with many agents, and nothing is lost from the sums', async () => {
  for (const [tenantDetail, series] of [
    ['none', 1],
    ['workspace', 10],
    ['agent', 1001],
  ] as const) {
    const metrics = createMetrics(['commands_total'], { tenantDetail })
    for (let agent = 0; agent < 10_000; agent++)
      metrics.count('commands_total', { outcome: 'accepted' }, 1, {
        workspaceId: `wsp_${agent % 10}`,
        agentKey: `agent-${agent}`,
      })
    const samples = parsePrometheus((await metrics.scrape()).text).get('muster_commands_total')?.samples ?? []
    expect(samples.length).toBe(series)
    expect(samples.reduce((sum, { value }) => sum + value, 0)).toBe(10_000)
  }
})

test('a command for an agent that is not there counts for its workspace, under no name that a client made up', async () => {
  const metrics = createMetrics(['commands_total'], { tenantDetail: 'agent' })
  metrics.count('commands_total', { outcome: 'agent_not_found' }, 1, { workspaceId: 'wsp_1', agentKey: null })
  const samples = parsePrometheus((await metrics.scrape()).text).get('muster_commands_total')?.samples
  expect(samples).toMatchObject([{ labels: { workspace: 'wsp_1', agent: 'other' } }])
})

test('what cannot be known is not shown, and a collector that fails spoils nothing else', async () => {
  const metrics = createMetrics(['queue_depth', 'stream_clients'])
  metrics.set('queue_depth', { pool: 'none' }, 3)
  metrics.set('stream_clients', {}, 2)
  metrics.onScrape(async () => {
    metrics.forget('queue_depth')
    throw new Error('away')
  })
  const families = parsePrometheus((await metrics.scrape()).text)
  expect(families.get('muster_queue_depth')?.samples).toEqual([])
  expect(families.get('muster_stream_clients')?.samples).toMatchObject([{ value: 2 }])
})

test('a token guards the metrics where one is set', () => {
  expect(mayScrape(null, undefined)).toBe(true)
  expect(mayScrape('a-token-of-metrics', undefined)).toBe(false)
  expect(mayScrape('a-token-of-metrics', 'Bearer another')).toBe(false)
  expect(mayScrape('a-token-of-metrics', 'Bearer a-token-of-metrics')).toBe(true)
})
