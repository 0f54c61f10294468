import {
  type EmbeddedServer,
  type EmbeddedServerOptions,
  isPortFree,
  type Logger,
  type ProcessRecord,
  signalServer,
  startPostgres,
  startRedis,
} from '@muster/runtime'
import { bringUpToDate } from '../bring-up-to-date.ts'
import type { Config } from '../config.ts'
import type { Home } from '../home/open-home.ts'
import type { ReadyFile } from '../home/ready-file.ts'
import { counter } from '../sample-agents/counter.ts'
import { echo } from '../sample-agents/echo.ts'
import { shell } from '../sample-agents/shell.ts'
import { adminClient } from '../setup/admin-client.ts'
import { ensureApiKey } from '../setup/ensure-api-key.ts'
import { ensureSampleAgents } from '../setup/ensure-sample-agents.ts'
import { ensureWorkspace } from '../setup/ensure-workspace.ts'
import { type Connections, gatewayEnvironment, workerEnvironment } from './child-environments.ts'
import { FleetError } from './fleet-error.ts'
import { type KeptServer, keepServing } from './keep-serving.ts'
import { postgresSettings } from './postgres-settings.ts'
import type { Programs } from './programs.ts'
import { reasonOf } from './reason-of.ts'
import { type ChildLine, type ChildOptions, type SupervisedChild, superviseChild } from './supervise-child.ts'

export type FleetOptions = {
  readonly config: Config
  readonly home: Home
  readonly programs: Programs
  readonly adminToken: string
  readonly logger: Logger
  readonly onLine: (name: string, line: ChildLine) => void
  /** The processes that run now: after each start and end of one. */
  readonly onChildren: (children: readonly ProcessRecord[]) => void
  /** Everything is ready: the first time and after each restart of a part. */
  readonly onReady: (ready: ReadyFile) => void
}

const GATEWAY_PATIENCE_MS = 15_000
const DRAIN_MARGIN_MS = 15_000

/**
 * The parts of a fleet on this machine, started in the order in which they need each other and stopped in the reverse: workers drain,
 * the gateway closes, then Redis, Postgres last.
 */
export class Fleet {
  readonly #options: FleetOptions
  readonly #stopping = new AbortController()
  readonly #children: SupervisedChild[] = []
  #postgres: KeptServer | null = null
  #redis: KeptServer | null = null
  #gatewayUrl: string | null = null
  #readyFile: Omit<ReadyFile, 'gateway_pid' | 'worker_pids'> | null = null
  #starting: Promise<void> = Promise.resolve()

  constructor(options: FleetOptions) {
    this.#options = options
  }

  /** Resolves when the fleet is ready for commands; rejects when it cannot be, or when it is stopped meanwhile. */
  start(): Promise<void> {
    this.#starting = this.#start()
    return this.#starting
  }

  /** Whether this is being stopped, so that what `start` rejects with is no news. */
  get isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    // A server that is just being started must be known before it can be stopped.
    await this.#starting.catch(() => undefined)
    const { logger, config } = this.#options
    const [gateway, ...workers] = this.#children
    if (workers.length > 0)
      logger.info(`workers drain (at most ${Math.ceil(config.drainMaxMs / 1000)} s; Ctrl-C again forces)`)
    await Promise.all(workers.map((worker) => worker.stop(config.drainMaxMs + DRAIN_MARGIN_MS)))
    await gateway?.stop(GATEWAY_PATIENCE_MS)
    await this.#redis?.stop()
    await this.#postgres?.stop()
    logger.info('stopped')
  }

  /** Ends everything without waiting. The servers still end in good order, by themselves, one that is just being started too. */
  kill(): void {
    for (const child of this.#children) child.kill()
    signalServer(this.#options.home.redis, 'SIGTERM')
    signalServer(this.#options.home.postgres, 'SIGINT')
  }

  async #start(): Promise<void> {
    const { config, home, programs, adminToken, logger } = this.#options
    if (config.port !== 0 && !(await isPortFree(config.host, config.port)))
      throw new FleetError(
        `cannot listen on port ${config.port} of ${config.host}: the port is taken (set MUSTER_PORT; 0: any that is free), kept for root (below 1024), or the address is not this machine's (MUSTER_HOST)`,
      )
    const databaseUrl = config.databaseUrl ?? (await this.#startPostgres())
    this.#stopping.signal.throwIfAborted()
    const redisUrl = config.redisUrl ?? (await this.#startRedis())
    this.#stopping.signal.throwIfAborted()
    const applied = await bringUpToDate(databaseUrl, programs.migrations)
    logger.info({ applied: applied.length }, 'database is up to date')
    this.#stopping.signal.throwIfAborted()

    const connections: Connections = {
      databaseUrl,
      redisUrl,
      adminToken,
      sessionsRoot: home.sessions,
      cacheRoot: home.cache,
    }
    this.#startGateway(connections)
    for (let index = 1; index <= config.workers; index++) this.#startWorker(index, connections)
    await this.#unlessStopped(Promise.all(this.#children.map((child) => child.firstReady)))
    const url = this.#gatewayUrl ?? ''
    const request = adminClient(url, adminToken)
    const workspaceId = await this.#unlessStopped(ensureWorkspace(request))
    const apiKey = await this.#unlessStopped(ensureApiKey(request, workspaceId, home.apiKeyFile))
    await this.#unlessStopped(ensureSampleAgents(request, [echo, shell, counter]))
    this.#readyFile = { url, api_key: apiKey, admin_token: adminToken, database_url: databaseUrl, redis_url: redisUrl }
    this.#reportReady()
  }

  async #startPostgres(): Promise<string> {
    const { home, config } = this.#options
    const settings = postgresSettings(config.workers)
    this.#postgres = await this.#keep('Postgres', startPostgres, { folder: home.postgres, settings })
    return this.#postgres.url
  }

  async #startRedis(): Promise<string> {
    this.#redis = await this.#keep('Redis', startRedis, { folder: this.#options.home.redis })
    return this.#redis.url
  }

  async #keep(
    name: string,
    start: (options: EmbeddedServerOptions) => Promise<EmbeddedServer>,
    options: EmbeddedServerOptions,
  ): Promise<KeptServer> {
    const { logger } = this.#options
    const onNote = (note: string): void => logger.warn(note)
    const kept = await keepServing({
      start: (port) => start({ ...options, onNote, ...(port === undefined ? {} : { port }) }),
      onEvent: (event, error) => logger.error({ err: error }, `${name} ${event}`),
    }).catch((error: unknown) => {
      throw new FleetError(`${name} does not start: ${reasonOf(error)}`, { cause: error })
    })
    logger.info(`${name} serves`)
    return kept
  }

  #startGateway(connections: Connections): void {
    const { config, programs } = this.#options
    this.#startChild({
      name: 'gateway',
      entry: programs.gateway,
      readyMessage: 'listening',
      // A restarted gateway keeps the port that clients know.
      env: () =>
        gatewayEnvironment(
          config,
          connections,
          this.#gatewayUrl === null ? config.port : Number(new URL(this.#gatewayUrl).port),
        ),
      onReady: (line) => {
        if (typeof line['url'] === 'string') this.#gatewayUrl = line['url']
        this.#reportReady()
      },
    })
  }

  #startWorker(index: number, connections: Connections): void {
    const { config, programs } = this.#options
    this.#startChild({
      name: `worker-${index}`,
      entry: programs.worker,
      readyMessage: 'ready',
      env: () => workerEnvironment(config, connections),
      onReady: () => this.#reportReady(),
    })
  }

  #startChild(child: Pick<ChildOptions, 'name' | 'entry' | 'env' | 'readyMessage' | 'onReady'>): void {
    const { logger, onLine } = this.#options
    const supervised = superviseChild({
      ...child,
      onLine,
      onStart: () => this.#reportChildren(),
      onExit: ({ code, signal, restartInMs }) => {
        this.#reportChildren()
        const ending = signal ?? `code ${code}`
        if (restartInMs !== null) logger.warn(`${child.name} ended (${ending}); starts again in ${restartInMs} ms`)
        else logger.info(`${child.name} ended (${ending})`)
      },
    })
    this.#children.push(supervised)
    this.#reportChildren()
  }

  #reportChildren(): void {
    this.#options.onChildren(this.#children.map((child) => child.process()).filter((record) => record !== null))
  }

  /** Once the fleet was ready, each return of a part makes it ready again with new process ids. */
  #reportReady(): void {
    const [gateway, ...workers] = this.#children.map((child) => child.process())
    if (this.#readyFile === null || this.isStopping || !gateway || workers.includes(null)) return
    const pids = workers.map((worker) => worker?.pid ?? 0)
    this.#options.onReady({ ...this.#readyFile, gateway_pid: gateway.pid, worker_pids: pids })
  }

  #unlessStopped<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#stopping
    work.catch(() => undefined)
    const stopped = new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    return Promise.race([work, stopped])
  }
}
