import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ROUTES } from '@muster/contracts'
import { METRICS, type MetricSpec } from '@muster/runtime'
import { parsePrometheus } from '@muster/testkit'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { createGatewayMetrics, GATEWAY_METRICS } from '../apps/gateway/src/metrics/gateway-metrics.ts'
import { createWorkerMetrics, watchWorker } from '../apps/worker/src/metrics/worker-metrics.ts'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')
const shown = new Map<string, MetricSpec>(
  Object.entries(METRICS).flatMap(([name, spec]): [string, MetricSpec][] =>
    spec.kind === 'histogram'
      ? ['_bucket', '_sum', '_count'].map((suffix) => [`muster_${name}${suffix}`, spec])
      : [[`muster_${name}`, spec]],
  ),
)
/** What Node's own metrics are called; they come from the client library. */
const OF_THE_PROCESS = new Set(['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds'])
const ADDED_BY_PROMETHEUS = ['instance', 'job', 'le']

const alerts = z
  .object({
    groups: z.array(
      z.object({
        name: z.string(),
        rules: z.array(
          z.strictObject({
            alert: z.string().regex(/^Muster\w+$/),
            expr: z.string(),
            for: z
              .string()
              .regex(/^\d+[sm]$/)
              .optional(),
            labels: z.object({ severity: z.enum(['warning', 'critical']) }),
            annotations: z.object({ summary: z.string(), description: z.string().optional() }),
          }),
        ),
      }),
    ),
  })
  .parse(parse(read('./prometheus/alerts.yml')))
const dashboard = z
  .object({ panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).min(1) })) })
  .parse(JSON.parse(read('./grafana/muster.json')))

const expressions = [
  ...alerts.groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => ({ where: alert, expr }))),
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
]
const namesIn = (expr: string): string[] => expr.match(/\b(?:muster|process|nodejs)_\w+/g) ?? []

test.each(expressions)('$where asks for metrics that exist: $expr', ({ expr }) => {
  const names = namesIn(expr)
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) expect(shown.has(name) || OF_THE_PROCESS.has(name), name).toBe(true)
})

test.each(expressions)('$where uses labels that its metrics carry: $expr', ({ expr }) => {
  for (const [, name = '', matchers = ''] of expr.matchAll(/\b(muster_\w+)\{([^}]*)\}/g))
    for (const [, label = ''] of matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
      expect(shown.get(name)?.labels, `${name}{${label}}`).toContain(label)
  for (const [, labels = '', body = ''] of expr.matchAll(/\bby \(([^)]*)\) \((.*?muster_\w+)/g)) {
    const name = namesIn(body)[0] ?? ''
    for (const label of labels.split(',').map((each) => each.trim()))
      if (!ADDED_BY_PROMETHEUS.includes(label)) expect(shown.get(name)?.labels, `${name} by ${label}`).toContain(label)
  }
})

test('when no gateway shows anything any more, that is told', () => {
  const absent = expressions.flatMap(({ expr }) => /^absent\((\w+)\)$/.exec(expr)?.[1] ?? [])
  expect(absent.filter((name) => (GATEWAY_METRICS as readonly string[]).includes(name.replace('muster_', '')))).toEqual(
    absent,
  )
  expect(absent).not.toEqual([])
})

test('every metric of the suite is shown by some panel', () => {
  const used = new Set(dashboard.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => namesIn(expr))))
  const missing = Object.entries(METRICS).filter(
    ([name, { kind }]) => !used.has(`muster_${name}${kind === 'histogram' ? '_bucket' : ''}`),
  )
  expect(missing.map(([name]) => name)).toEqual([])
})

test('every parenthesis, bracket and brace is closed', () => {
  for (const { expr } of expressions) {
    const open: string[] = []
    for (const letter of expr.replaceAll(/"[^"]*"/g, '')) {
      if ('([{'.includes(letter)) open.push(letter)
      else if (')]}'.includes(letter)) expect('([{'[')]}'.indexOf(letter)], expr).toBe(open.pop())
    }
    expect(open, expr).toEqual([])
  }
})

/** The label sets of every counter that shows something before anything was counted. */
async function zeros(): Promise<ReadonlyMap<string, readonly Readonly<Record<string, string>>[]>> {
  const worker = createWorkerMetrics()
  watchWorker(worker, { pools: { none: 1 }, executions: () => [], breakers: () => ({}) })
  const texts = await Promise.all(
    [createGatewayMetrics(), worker].map(async (metrics) => (await metrics.scrape()).text),
  )
  const families = texts.flatMap((text) => [...parsePrometheus(text).values()])
  return new Map(families.map(({ name, samples }) => [name, samples.map(({ labels }) => labels)]))
}

test('each counter that an alert looks for by a label is there at 0 before it counts, so that its rate sees what comes first', async () => {
  const shownAtStart = await zeros()
  const looks = alerts.groups.flatMap(({ rules }) =>
    rules.flatMap(({ expr }) => [...expr.matchAll(/\b(muster_\w+_total)\{([^}]*)\}/g)]),
  )
  expect(looks.length).toBeGreaterThan(3)
  for (const [, name = '', matchers = ''] of looks) {
    const wanted = [...matchers.matchAll(/(\w+)=~?"([^"]*)"/g)].map(
      ([, label = '', values = '']) => [label, new RegExp(`^(?:${values})$`)] as const,
    )
    const found = (shownAtStart.get(name) ?? []).filter((labels) =>
      wanted.every(([label, values]) => values.test(labels[label] ?? '')),
    )
    expect(found.length, `${name}{${matchers}}`).toBeGreaterThan(0)
  }
})

test('without Postgres commands are refused before the engine sees them: what they were answered tells of it', () => {
  const refusing = expressions.find(({ where }) => where === 'MusterRefusing')?.expr ?? ''
  for (const route of ['postCommand', 'postBatch']) {
    expect(Object.keys(ROUTES)).toContain(route)
    expect(refusing).toMatch(new RegExp(`muster_http_requests_total\\{route=~"[^"]*\\b${route}\\b`))
  }
})

const PROMTOOL = 'promtool'
const promtool = (...words: string[]) =>
  spawnSync(PROMTOOL, words, { cwd: fileURLToPath(new URL('./prometheus/', import.meta.url)), encoding: 'utf8' })

test.skipIf(promtool('--version').status !== 0)('Prometheus takes the rules, and they fire when they should', () => {
  for (const words of [
    ['check', 'config', 'prometheus.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ]) {
    const { status, stdout, stderr } = promtool(...words)
    expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, ''])
  }
})

test('each rule is tried', () => {
  const tried = read('./prometheus/alerts.test.yml')
  for (const { alert } of alerts.groups.flatMap(({ rules }) => rules)) expect(tried).toContain(alert)
})
