import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  METRICS,
  type MetricLabels,
  type MetricName,
  type MetricSpec,
} from './metric-catalog.ts'
import { createTenantLabels, TENANT_LABELS, type Tenant, type TenantDetail } from './tenant-labels.ts'

const METRICS_PREFIX = 'muster_'

/** The metrics of one process. Only those that it touches are shown; each call is a few map look-ups. */
export type Metrics = {
  /** Adds to a counter; the tenant shows only as far as the operator asked. */
  count<Name extends CounterName>(name: Name, labels: MetricLabels<Name>, by?: number, tenant?: Tenant): void
  /**
   * Shows counters at 0: else what comes first is the first sample of its series, and no rate sees it. Where tenants are told apart, a
   * counter that does is left alone, since its tenants are not known.
   */
  showZeros<Name extends CounterName>(name: Name, labels: readonly MetricLabels<Name>[]): void
  observe<Name extends HistogramName>(name: Name, labels: MetricLabels<Name>, seconds: number): void
  set<Name extends GaugeName>(name: Name, labels: MetricLabels<Name>, value: number): void
  /** Forgets every value of a gauge: what cannot be known now is not shown. */
  forget(name: GaugeName): void
  /** Called before each scrape, to set what is measured then. One that rejects spoils nothing but its own values. */
  onScrape(collect: () => Promise<void>): void
  /** Adds what Node tells of its process: memory, processor time, the lag of its loop. */
  includeProcess(): void
  /** Everything in the text format of Prometheus. */
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>
}

export type MetricsOptions = { readonly tenantDetail?: TenantDetail }

/** A registry of its own for the metrics of the catalog that are named; counters without labels show 0 from the start. */
export function createMetrics(names: readonly MetricName[], options: MetricsOptions = {}): Metrics {
  const detail = options.tenantDetail ?? 'none'
  const registry = new Registry()
  const tenantLabels = createTenantLabels(detail)
  const counters = new Map<MetricName, Counter>()
  const gauges = new Map<MetricName, Gauge>()
  const histograms = new Map<MetricName, Histogram>()
  const collectors: (() => Promise<void>)[] = []

  for (const name of names) {
    const spec: MetricSpec = METRICS[name]
    const labelNames = spec.tenant === true ? [...spec.labels, ...TENANT_LABELS[detail]] : [...spec.labels]
    const common = { name: METRICS_PREFIX + name, help: spec.help, labelNames, registers: [registry] }
    if (spec.kind === 'counter') counters.set(name, new Counter(common))
    else if (spec.kind === 'gauge') gauges.set(name, new Gauge(common))
    else histograms.set(name, new Histogram({ ...common, buckets: [...(spec.buckets ?? [])] }))
  }

  return {
    count(name, labels, by = 1, tenant) {
      const spec: MetricSpec = METRICS[name]
      counters.get(name)?.inc(spec.tenant === true ? { ...labels, ...tenantLabels(tenant) } : labels, by)
    },
    showZeros(name, labels) {
      const spec: MetricSpec = METRICS[name]
      if (spec.tenant === true && detail !== 'none') return
      for (const each of labels) counters.get(name)?.inc(each, 0)
    },
    observe(name, labels, seconds) {
      histograms.get(name)?.observe(labels, Math.max(0, seconds))
    },
    set(name, labels, value) {
      gauges.get(name)?.set(labels, value)
    },
    forget(name) {
      const gauge = gauges.get(name)
      if (METRICS[name].labels.length === 0) gauge?.set(Number.NaN)
      else gauge?.reset()
    },
    onScrape(collect) {
      collectors.push(collect)
    },
    includeProcess() {
      collectDefaultMetrics({ register: registry })
    },
    async scrape() {
      await Promise.allSettled(collectors.map((collect) => collect()))
      return { contentType: registry.contentType, text: await registry.metrics() }
    },
  }
}
