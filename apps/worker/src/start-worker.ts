import { poolSchema } from '@muster/contracts'
import { createRunHolder, createTicker, type EngineContext, EventWriter } from '@muster/engine'
import { createGate } from '@muster/gate'
import { type Logger, paceWarnings, type ReadinessCheck, startHealthServer, startTracing } from '@muster/runtime'
import {
  createAttachmentFolders,
  createBundles,
  createFileCache,
  createSessionFolders,
  hostIdentity,
  proveRoot,
} from '@muster/sandbox'
import { agreeOnRoot, HOLDS_KEY, holdsRun, openDatabase, readAttachments } from '@muster/store'
import { proveBundlesRoot } from './agent-folders.ts'
import { startBeat } from './beat/start-beat.ts'
import type { WorkerConfig } from './config.ts'
import { drainDesk } from './drain-desk.ts'
import { countAttempt } from './metrics/count-attempt.ts'
import { createWorkerMetrics, watchWorker, workerReport } from './metrics/worker-metrics.ts'
import { NodeRegistration } from './node-registration.ts'
import { openSandboxes } from './open-sandboxes.ts'
import { PoolHealth } from './pool-health.ts'
import { RunDesk } from './run-desk.ts'
import { startClocks } from './start-clocks.ts'
import { startCustodian } from './start-custodian.ts'
import { untilMigrated } from './until-migrated.ts'

const POOL_SIZE = 6
const VERSION = '0.1.0'
/** A tick a second, whichever worker takes it. */
const TICK_AFTER_MS = 900
/** How often a worker that cannot start yet looks again. */

type StartOptions = {
  /** Aborted, a start that has not registered yet ends with the signal's reason; a later one ends as ever, to be drained. */
  readonly signal?: AbortSignal
}

export type RunningWorker = {
  readonly nodeId: string
  readonly healthUrl: string
  /** Takes no more, lets runs finish until the limit, hands back the rest, leaves. */
  drain(): Promise<void>
  /** Kills every sandbox without waiting. */
  kill(): void
}

/**
 * Starts a worker: waits for Postgres and its migrations, proves the shared folders, probes what it can serve, registers, beats, takes jobs
 * and does its share of the duties. Its health is served from the first on.
 */
export async function startWorker(
  config: WorkerConfig,
  logger: Logger,
  { signal = new AbortController().signal }: StartOptions = {},
): Promise<RunningWorker> {
  if (config.bundlesRoot !== undefined) await proveBundlesRoot(config.bundlesRoot)
  const giveUp = new AbortController()
  const warn = paceWarnings(logger)
  const database = openDatabase({
    url: config.databaseUrl,
    poolSize: POOL_SIZE,
    onError: (error) => warn(error, {}, 'a database connection was lost'),
  })
  const gate = createGate({
    redisUrl: config.redisUrl,
    fleet: config.fleet,
    onError: (error, source) => warn(error, { source }, 'the gate is in trouble'),
  })
  const metrics = createWorkerMetrics({ tenantDetail: config.metricsTenants })
  metrics.includeProcess()
  const tracing = await startTracing({ endpoint: config.otlpEndpoint, service: 'muster-worker', warn })
  const context: EngineContext = { database, gate, log: logger, report: workerReport(metrics) }
  let asks = STARTING
  const health = await startHealthServer({
    host: config.healthHost,
    port: config.healthPort,
    metrics: { registry: metrics, token: config.metricsToken },
    checks: {
      postgres: async () => {
        await database.pool.query('SELECT 1')
      },
      registered: () => asks.registered(),
      taking: () => asks.taking(),
    },
  })

  await untilMigrated(database, config.migrationsDir, { signal, warn })
  const rootId = await proveRoot(config.sessionsRoot)
  const fleetRootId = await agreeOnRoot(database.pool, rootId)
  if (rootId !== fleetRootId)
    throw new Error(
      `${config.sessionsRoot} is not the folder that the fleet's workers share (${rootId}, not ${fleetRootId})`,
    )
  const { sandboxes, pools, holds } = await openSandboxes(config.pools, config, logger)
  if (config.noop) logger.warn({}, 'MUSTER_NOOP is set: runs of the pool none are answered without running anything')
  const identity = await hostIdentity()
  const poolHealth = new PoolHealth({ pools, sandboxes, logger, onChange: () => servePools() })
  const registration = new NodeRegistration(context, {
    hostIdentity: identity,
    address: null,
    pools: () => poolHealth.serving,
    metadata: Object.fromEntries([...holds].map(([pool, names]) => [`${HOLDS_KEY}${pool}`, names.join(',')])),
    version: VERSION,
  })
  let broken: Error | null = null

  const beat = startBeat(
    { databaseUrl: config.databaseUrl },
    {
      onLost: (pair) => desk.lose(pair),
      onCancel: (pair, reason) => desk.cancel(pair, reason),
      onDead: (id) => renew(id),
      onCutOff: () => {
        logger.error({}, 'cut off from the database: stopping what runs')
        desk.stopAll({ kind: 'lost' })
      },
      onTrouble: (message) => warn(new Error(message), {}, 'a beat did not get through'),
      onBroken: (error) => {
        broken = error
        logger.fatal({ err: error }, 'the beat broke; stopping')
        desk.stopAll({ kind: 'lost' })
        process.kill(process.pid, 'SIGTERM')
      },
    },
  )
  const folders = createSessionFolders(config.sessionsRoot)
  const attachmentFolders = createAttachmentFolders(config.cacheRoot)
  const stopCustodian = startCustodian({
    database,
    folders,
    cache: createFileCache(config.cacheRoot),
    attachments: attachmentFolders,
    logger,
  })
  let undecided = false
  let draining = false
  /** Takes jobs only while they can be claimed: known as a node, Postgres answering, not draining. */
  const steer = (): void => {
    const takes = registration.id !== null && !undecided && !draining
    for (const [pool, consumer] of taking) {
      if (takes && !poolHealth.faults.has(pool)) consumer.resume()
      else void consumer.pause()
    }
  }
  const servePools = (): void => {
    steer()
    registration.tellPools().catch((error: unknown) => warn(error, {}, 'the pools that are served could not be told'))
  }
  const writer = new EventWriter(context, giveUp.signal)
  const holder = createRunHolder(context, {
    places: Object.values(pools).reduce((sum, slots) => sum + slots, 0),
    signal: giveUp.signal,
    onUndecided: () => {
      undecided = true
      steer()
    },
    onDecided: () => {
      if (!undecided) return
      undecided = false
      steer()
    },
  })
  const desk = new RunDesk({
    context,
    holder,
    beat,
    lossesMax: config.lossesMax,
    cancelGraceMs: config.cancelGraceMs,
    nodeId: () => registration.id,
    serves: (pool) => !poolHealth.faults.has(pool),
    onNodeDead: (id) => renew(id),
    onEnded: (run, end, seconds) => countAttempt(metrics, run, end, seconds),
    parts: {
      sandboxes,
      folders,
      agentFolders: {
        bundles: createBundles(config.bundlesRoot ?? null),
        attachmentFolders,
        readAttachments: (run) => readAttachments(database.pool, run.task_id),
      },
      writer,
      hostIdentity: identity,
      holds: (run) => holdsRun(database.pool, run.run_id, run.generation),
      tracing,
      noop: config.noop,
      faultOf: (pool) => poolHealth.faultOf(pool),
      onStarted: (run, seconds) =>
        metrics.observe('sandbox_start_seconds', { pool: run.policy.runtime_type, start: 'cold' }, seconds),
    },
  })

  /** A node that is dead kills what it held, and only then comes back under another id, unless it drains. */
  function renew(deadId: string): void {
    if (!registration.lose(deadId)) return
    logger.warn({ node_id: deadId }, 'declared dead')
    desk.stopAll({ kind: 'lost' })
    if (draining) return
    steer()
    void registration.register().then((id) => {
      beat.name(id)
      steer()
      logger.info({ node_id: id }, 'registered anew')
    })
  }

  await beat.ready
  signal.throwIfAborted()
  const nodeId = await registration.register()
  beat.name(nodeId)
  const taking = Object.entries(pools).map(
    ([pool, slots]) =>
      [
        pool,
        gate.consume(poolSchema.parse(pool), {
          concurrency: slots,
          process: (job, carries) => desk.take(job, carries),
        }),
      ] as const,
  )
  const stopCancelHints = gate.onCancel((runId) => {
    if (desk.executions.some((execution) => execution.run.run_id === runId)) beat.hurry()
  })
  const ticker = createTicker(context, {
    lossesMax: config.lossesMax,
    retentionDays: config.retentionDays,
    takesAfterMs: TICK_AFTER_MS,
  })
  const clocks = startClocks(ticker, warn)
  watchWorker(metrics, { pools, executions: () => desk.executions, breakers: () => gate.breakers() })
  asks = {
    registered: async () => {
      if (registration.id === null) throw new Error('declared dead, registering anew')
    },
    taking: async () => {
      if (draining) throw new Error('draining')
      if (broken !== null) throw broken
      const [sick] = poolHealth.faults
      if (sick !== undefined) throw new Error(`cannot serve ${sick[0]}: ${sick[1]}`)
    },
  }

  return {
    nodeId,
    healthUrl: health.url,
    kill: () => desk.stopAll({ kind: 'lost' }),
    async drain() {
      draining = true
      desk.close()
      beat.draining()
      await registration
        .drain()
        .catch((error: unknown) => logger.warn({ err: error }, 'the drain is made known by the beat'))
      poolHealth.stop()
      await Promise.all(taking.map(([, consumer]) => consumer.pause()))
      await drainDesk(desk, config, giveUp, logger)
      await clocks.stop()
      stopCancelHints()
      stopCustodian()
      await registration.leave().catch((error: unknown) => logger.warn({ err: error }, 'could not leave in order'))
      await Promise.all(taking.map(([, consumer]) => consumer.close(0)))
      await beat.stop()
      await health.close()
      await gate.close()
      await database.close()
      await tracing.close()
    },
  }
}

const isStarting = async (): Promise<never> => {
  throw new Error('starting')
}
/** What `/readyz` asks beside Postgres, while the start is not over. */
const STARTING: Readonly<Record<'registered' | 'taking', ReadinessCheck>> = {
  registered: isStarting,
  taking: isStarting,
}
