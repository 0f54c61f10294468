/** What a metric is. `tenant`: it also carries the labels by which an operator may ask to tell tenants apart. */
export type MetricSpec = {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  readonly tenant?: true
  /** Upper bounds in seconds, of a histogram. */
  readonly buckets?: readonly number[]
}

const QUICK = [0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const WAITS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200]
const RUNS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400]
const RECOVERIES = [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60]

/** Every metric of the suite, without the prefix `muster_`. All times are seconds; no label takes its values from client text. */
export const METRICS = {
  commands_total: {
    kind: 'counter',
    help: 'Commands by what became of them: accepted, deduplicated or an error code',
    labels: ['outcome'],
    tenant: true,
  },
  command_accept_seconds: {
    kind: 'histogram',
    help: 'From the authenticated command to its durable acceptance',
    labels: [],
    buckets: QUICK,
  },
  http_requests_total: { kind: 'counter', help: 'HTTP requests by operation and status', labels: ['route', 'status'] },
  http_request_seconds: {
    kind: 'histogram',
    help: 'From the request to the first byte of its answer',
    labels: ['route'],
    buckets: QUICK,
  },
  stream_clients: { kind: 'gauge', help: 'Readers that follow a run at this gateway', labels: [] },
  queue_depth: { kind: 'gauge', help: 'Runs that wait for a slot in the gate of the whole fleet', labels: ['pool'] },
  queue_startable: {
    kind: 'gauge',
    help: 'Runs that wait for nothing but a slot, so behind no limit and no pause, of the whole fleet',
    labels: ['pool'],
  },
  queue_due_later: {
    kind: 'gauge',
    help: 'Runs that the gate holds until they are due, of the whole fleet',
    labels: ['pool'],
  },
  queue_oldest_age_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest queued run that is due, among the 20,000 oldest, of the whole fleet',
    labels: ['pool'],
  },
  slots: { kind: 'gauge', help: 'Slots of the whole fleet, used and in all', labels: ['pool', 'state'] },
  nodes: { kind: 'gauge', help: 'Workers that beat, by status', labels: ['status'] },
  gate_warm: { kind: 'gauge', help: '1 while the gate answers and holds the epoch of Postgres', labels: [] },
  gate_breaker_open: {
    kind: 'gauge',
    help: '1 while calls over this connection to Redis fail at once',
    labels: ['connection'],
  },
  postgres_up: { kind: 'gauge', help: '1 while Postgres answered the last scrape of this gateway', labels: [] },
  tick_age_seconds: { kind: 'gauge', help: 'Time since any worker took the tick', labels: [] },
  duty_age_seconds: { kind: 'gauge', help: 'Time since any worker last ended the duty well', labels: ['duty'] },
  duties_total: { kind: 'counter', help: 'Duties that this worker did, by outcome', labels: ['duty', 'outcome'] },
  duty_seconds: { kind: 'histogram', help: 'How long a duty took', labels: ['duty'], buckets: QUICK },
  gate_rebuilds_total: {
    kind: 'counter',
    help: 'Rebuilds of the gate that this worker began, by outcome',
    labels: ['outcome'],
  },
  worker_slots: { kind: 'gauge', help: 'Slots of this worker, used and in all', labels: ['pool', 'state'] },
  runs_active: { kind: 'gauge', help: 'Runs that this worker executes', labels: ['pool'] },
  schedule_to_start_seconds: {
    kind: 'histogram',
    help: 'From the time a run may start to its claim, by the clock of Postgres',
    labels: ['pool'],
    buckets: WAITS,
  },
  run_duration_seconds: {
    kind: 'histogram',
    help: 'From the claim of a run to the end of the attempt, by how the attempt ended',
    labels: ['status'],
    buckets: RUNS,
  },
  runs_total: { kind: 'counter', help: 'Attempts that ended here, by how', labels: ['pool', 'status'], tenant: true },
  slot_leaks_total: {
    kind: 'counter',
    help: 'Slots without a run that the comparison of slots with runs had to free',
    labels: [],
  },
  slot_restores_total: { kind: 'counter', help: 'Running runs without a slot that got one back', labels: [] },
  run_recoveries_total: {
    kind: 'counter',
    help: 'Runs that were brought back: lost with their worker, handed back by a drain, or offered to the gate anew',
    labels: ['cause'],
  },
  recovery_seconds: {
    kind: 'histogram',
    help: 'From the last beat of the worker that lost a run to its next start',
    labels: [],
    buckets: RECOVERIES,
  },
  sandbox_start_seconds: {
    kind: 'histogram',
    help: 'From the claimed run to the running program in its sandbox',
    labels: ['pool', 'start'],
    buckets: QUICK,
  },
  tokens_total: { kind: 'counter', help: 'Tokens that agents reported', labels: ['direction'], tenant: true },
  cost_usd_total: { kind: 'counter', help: 'Cost that agents reported, in US dollars', labels: [], tenant: true },
  events_total: { kind: 'counter', help: 'Events of agents that this worker wrote', labels: [] },
} as const satisfies Record<string, MetricSpec>

export type MetricName = keyof typeof METRICS
type OfKind<Kind extends MetricSpec['kind']> = {
  [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never
}[MetricName]
export type CounterName = OfKind<'counter'>
export type GaugeName = OfKind<'gauge'>
export type HistogramName = OfKind<'histogram'>
export type MetricLabels<Name extends MetricName> = {
  readonly [Label in (typeof METRICS)[Name]['labels'][number]]: string
}
