import { randomUUID } from 'node:crypto'
import type { Agent, Command, CreateAgent, RunJob } from '@muster/contracts'
import { type AttemptOutcome, endAttempt, NO_USAGE, newId } from '@muster/core'
import { createGate, type Gate, type GateRun } from '@muster/gate'
import {
  type BeatAnswer,
  beatNode,
  type ClaimedRun,
  createAgent,
  createWorkspace,
  type Database,
  openDatabase,
  registerNode,
} from '@muster/store'
import { createDatabase, createRedis, type TestDatabase, type TestRedis } from '@muster/testkit'
import {
  type Accepted,
  type Acceptor,
  createAcceptor,
  createRunHolder,
  createTicker,
  type EngineContext,
  type FinishAt,
  type Finished,
  type RunHolder,
  rebuildGate,
  refreshCapacities,
  startSlot,
  type Ticker,
} from '../src/index.ts'
import { createStaging, type Staging, stagedDatabase, stagedGate } from './staged-ports.ts'

/** Clocks that the test moves, found before those of Postgres. */
const CLOCKWORK = `
  CREATE SCHEMA clockwork;
  CREATE TABLE clockwork.skew (ms bigint NOT NULL);
  INSERT INTO clockwork.skew VALUES (0);
  CREATE FUNCTION clockwork.now() RETURNS timestamptz STABLE LANGUAGE sql
    AS 'SELECT pg_catalog.now() + (SELECT ms FROM clockwork.skew) * interval ''1 millisecond''';
  CREATE FUNCTION clockwork.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
    AS 'SELECT pg_catalog.clock_timestamp() + (SELECT ms FROM clockwork.skew) * interval ''1 millisecond''';
  SET search_path = clockwork, pg_catalog, public;
  ALTER TABLE attempts ALTER started_at SET DEFAULT now();
  ALTER TABLE runs ALTER queued_at SET DEFAULT now();
  DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = clockwork, pg_catalog, public', current_database()); END $$`

type AcceptedAnew = Extract<Accepted, { outcome: 'accepted' }>
export type RunRow = {
  readonly id: string
  readonly status: string
  readonly generation: number
  readonly admission: number
  readonly attempt_count: number
  readonly failure: { readonly code: string } | null
  readonly not_before: Date | null
  readonly node_id: string | null
  readonly last_seq: number
}

/** The real store, gate and engine on a database and a Redis of their own; every call between them can be staged. */
export type StagedFleet = {
  readonly test: TestDatabase
  readonly redis: TestRedis
  /** Unstaged, to look with. */
  readonly database: Database
  readonly gate: Gate
  readonly context: EngineContext
  readonly staging: Staging
  readonly workspace: { readonly id: string; readonly key: string }
  readonly acceptor: Acceptor
  readonly holder: RunHolder
  readonly ticker: Ticker
  /** Jobs that were added and not taken. */
  readonly jobs: RunJob[]
  readonly logged: { readonly level: string; readonly fields: object; readonly message: string }[]
  agent(fields?: Partial<CreateAgent>): Promise<Agent>
  submit(agent: Agent, command?: Partial<Command>): Promise<AcceptedAnew>
  node(slots?: number): Promise<string>
  beat(nodeId: string, said?: { held?: readonly ClaimedRun[]; claiming?: readonly RunJob[] }): Promise<BeatAnswer>
  /** Takes the job of a run out of the queue. */
  job(runId: string): RunJob
  /** The run's job, started and claimed. */
  hold(runId: string, nodeId: string): Promise<ClaimedRun>
  /** Ends a run's attempt as a worker would, and offers its place. */
  end(run: ClaimedRun, outcome: AttemptOutcome, place: FinishAt['place']): Promise<Finished>
  finish(run: ClaimedRun, outcome?: AttemptOutcome): Promise<'finished' | 'fenced'>
  /** Ends the run, and asks for another one in its place. */
  goOn(run: ClaimedRun, nodeId: string): Promise<RunJob | null>
  /** Moves every clock that is compared: the gate's and Postgres'. */
  advance(ms: number): Promise<void>
  /** One tick, due at once, and a sweep. */
  tick(): Promise<void>
  rebuild(): Promise<string>
  run(runId: string): Promise<RunRow>
  inGate(runId: string): Promise<GateRun>
  /** Types of the run's events, by number, which must be 1, 2, 3 ... */
  events(runId: string): Promise<readonly string[]>
  /** The node misses three ticks. */
  die(nodeId: string): Promise<void>
  close(): Promise<void>
}

export const SUCCEEDED: AttemptOutcome = { kind: 'succeeded', output: 'done', outputTruncated: false, exitCode: 0 }
export const FAILED: AttemptOutcome = {
  kind: 'failed',
  failure: { code: 'agent_exit', message: 'no', retryable: true },
  exitCode: 1,
}

export async function openStagedFleet(): Promise<StagedFleet> {
  const [test, redis] = await Promise.all([createDatabase(), createRedis()])
  await test.query(CLOCKWORK)
  const database = openDatabase({ url: test.url, poolSize: 12, onError: () => undefined })
  let skewMs = 0
  const gate = createGate({
    redisUrl: redis.url,
    timeoutsMs: { call: 5000, worker: 5000 },
    now: () => Date.now() + skewMs,
    onError: () => undefined,
  })
  await gate.connected(10_000)
  const staging = createStaging()
  const jobs: RunJob[] = []
  const logged: StagedFleet['logged'] = []
  const note = (level: string) => (fields: object, message: string) => void logged.push({ level, fields, message })
  const context: EngineContext = {
    database: stagedDatabase(database, staging),
    gate: stagedGate(gate, staging, (admitted) => {
      for (const { runId, admission } of admitted) jobs.push({ run_id: runId, admission })
    }),
    log: { info: note('info'), warn: note('warn'), error: note('error') },
  }
  const { resource: workspace } = await createWorkspace(database, { key: 'acme' })
  const acceptor = createAcceptor(context)
  const giveUp = new AbortController()
  const holder = createRunHolder(context, {
    places: 4,
    signal: giveUp.signal,
    onUndecided: () => undefined,
    onDecided: () => undefined,
  })
  const ticker = createTicker(context, { lossesMax: 5, retentionDays: 30, takesAfterMs: 900 })
  const sql = (text: string, ...values: unknown[]) => database.pool.query(text, values)
  let agents = 0

  const end = (run: ClaimedRun, outcome: AttemptOutcome, place: FinishAt['place']): Promise<Finished> =>
    holder.finish({
      runId: run.run_id,
      sessionId: run.session_id,
      generation: run.generation,
      admission: run.admission,
      end: endAttempt(heldRun(run), outcome),
      usage: NO_USAGE,
      limits: {},
      place,
    })
  const fleet: StagedFleet = {
    test,
    redis,
    database,
    gate,
    context,
    staging,
    workspace,
    acceptor,
    holder,
    ticker,
    jobs,
    logged,
    async agent(fields = {}) {
      const input: CreateAgent = {
        key: `agent-${++agents}`,
        config: { runner: 'process', command: ['true'] },
        ...fields,
      }
      const { resource, configuration } = await createAgent(database, workspace.id, input)
      await gate.configure(configuration)
      return resource
    },
    async submit(agent, command = {}) {
      const { idempotency_key = null, ...rest } = command
      const answer = await acceptor.accept({
        workspace,
        command: { agent: agent.key, message: 'go', ...rest },
        idempotencyKey: idempotency_key,
      })
      await acceptor.settled()
      if (answer.outcome !== 'accepted') throw new Error('deduplicated')
      return answer
    },
    async node(slots = 100) {
      const id = newId('node')
      const facts = {
        host: 'here',
        hostIdentity: randomUUID(),
        pid: 1,
        address: null,
        labels: {},
        metadata: {},
        version: '0',
      }
      await registerNode(database.pool, { id, pools: { bubblewrap: slots }, ...facts })
      await refreshCapacities(context)
      return id
    },
    beat: (nodeId, { held = [], claiming = [] } = {}) =>
      beatNode(database.pool, {
        nodeId,
        held: held.map((run) => ({ runId: run.run_id, generation: run.generation })),
        claiming: claiming.map((job) => ({ runId: job.run_id, admission: job.admission })),
        used: held.length,
        phase: 'active',
      }),
    job(runId) {
      const at = jobs.findIndex((job) => job.run_id === runId)
      const [job] = at < 0 ? [] : jobs.splice(at, 1)
      if (job === undefined) throw new Error(`no job of ${runId}`)
      return job
    },
    async hold(runId, nodeId) {
      const job = fleet.job(runId)
      const started = await startSlot(context, job, nodeId)
      if (started !== 'started') throw new Error(`the start was ${started}`)
      const verdict = await holder.claim(job, nodeId)
      if (verdict.verdict !== 'claimed' && verdict.verdict !== 'mine')
        throw new Error(`the claim was ${verdict.verdict}`)
      return verdict.run
    },
    end,
    finish: async (run, outcome = SUCCEEDED) => (await end(run, outcome, null)).outcome,
    goOn: async (run, nodeId) => (await end(run, SUCCEEDED, { nodeId, pool: run.policy.runtime_type })).next,
    async advance(ms) {
      skewMs += ms
      await sql('UPDATE clockwork.skew SET ms = $1', skewMs)
    },
    async tick() {
      await sql(`UPDATE fleet SET ticked_at = '-infinity'`)
      await ticker.tick()
      await ticker.sweep().catch(() => undefined)
      await acceptor.settled()
    },
    async rebuild() {
      await sql(`UPDATE fleet SET raised_at = '-infinity'`)
      return rebuildGate(context)
    },
    async run(runId) {
      const { rows } = await sql('SELECT * FROM runs WHERE id = $1', runId)
      return rows[0]
    },
    async inGate(runId) {
      const answer = await gate.lookup([runId])
      const [known] = answer.kind === 'warm' ? answer.runs : []
      if (known === undefined) throw new Error('the gate is cold')
      return known
    },
    async events(runId) {
      const { rows } = await sql('SELECT seq, type FROM events WHERE run_id = $1 ORDER BY seq', runId)
      for (const [index, row] of rows.entries())
        if (row.seq !== index + 1) throw new Error(`event ${index + 1} is numbered ${row.seq}`)
      return rows.map((row): string => row.type)
    },
    async die(nodeId) {
      await sql(`UPDATE nodes SET status = 'inactive' WHERE id = $1`, nodeId)
      await refreshCapacities(context)
    },
    async close() {
      giveUp.abort()
      await acceptor.settled()
      await gate.close()
      await database.close()
      await redis[Symbol.asyncDispose]()
      await test.drop()
      if (staging.missed().length > 0) throw new Error(`staged and never reached: ${staging.missed().join(', ')}`)
    },
  }
  await fleet.rebuild()
  return fleet
}

export const heldRun = (run: ClaimedRun) => ({
  attemptCount: run.attempt_count,
  maxAttempts: run.max_attempts,
  losses: run.losses,
  handBacks: run.hand_backs,
  retry: run.policy.retry,
})
