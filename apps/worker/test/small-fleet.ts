import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentConfig, Command } from '@muster/contracts'
import { type Accepted, createAcceptor, type EngineContext } from '@muster/engine'
import { createGate } from '@muster/gate'
import { createLogger } from '@muster/runtime'
import { createAgent, createWorkspace, openDatabase } from '@muster/store'
import { createDatabase, createRedis, until } from '@muster/testkit'
import { readConfig } from '../src/config.ts'
import { type RunningWorker, startWorker } from '../src/start-worker.ts'

/** An agent's command that runs its message as a script of bash. */
export const SHELL = [
  '/bin/bash',
  '-c',
  `IFS= read -r line; node -p 'JSON.parse(process.argv[1]).message' "$line" > /tmp/s; exec bash /tmp/s`,
] as const

export type SmallFleet = Awaited<ReturnType<typeof openSmallFleet>>

/** A database (on the shared Postgres unless another is given), a Redis of its own and an acceptor; workers are started in this process as asked. */
export async function openSmallFleet({ postgresUrl }: { readonly postgresUrl?: string } = {}) {
  const fresh = await createDatabase(postgresUrl)
  const redis = await createRedis()
  const home = await mkdtemp(join(tmpdir(), 'muster-fleet-'))
  await chmod(home, 0o755)
  const logger = createLogger({ app: 'test', level: 'warn' })
  const database = openDatabase({ url: fresh.url, poolSize: 6, onError: () => undefined })
  const gate = createGate({ redisUrl: redis.url })
  const context: EngineContext = { database, gate, log: logger }
  const acceptor = createAcceptor(context)
  const { resource: workspace } = await createWorkspace(database, { key: 'acme' })
  const workers: RunningWorker[] = []
  const drained = new Map<RunningWorker, Promise<void>>()
  const drainOnce = (worker: RunningWorker): Promise<void> => {
    const under = drained.get(worker) ?? worker.drain()
    drained.set(worker, under)
    return under
  }

  return {
    home,
    redis,
    databaseUrl: fresh.url,
    database,
    gate,
    context,
    workspace,
    async agent(key: string, config: Partial<AgentConfig> & Pick<AgentConfig, 'command'>) {
      return (await createAgent(database, workspace.id, { key, config: { runner: 'process', ...config } })).resource
    },
    async submit(
      command: Command,
      traceparent: string | null = null,
    ): Promise<Extract<Accepted, { outcome: 'accepted' }>> {
      const accepted = await acceptor.accept({ workspace, command, idempotencyKey: null, traceparent })
      if (accepted.outcome !== 'accepted') throw new Error('deduplicated')
      return accepted
    },
    /** Resolves when what was submitted is with the gate. */
    offered: () => acceptor.settled(),
    async worker(env: Record<string, string> = {}): Promise<RunningWorker> {
      const config = readConfig({
        DATABASE_URL: fresh.url,
        REDIS_URL: redis.url,
        MUSTER_SESSIONS_ROOT: join(home, 'sessions'),
        MUSTER_CACHE_ROOT: join(home, 'cache'),
        MUSTER_BWRAP_PATH: process.env['MUSTER_BWRAP_PATH'],
        ...env,
      })
      const worker = await startWorker(config, logger)
      workers.push(worker)
      return { ...worker, drain: () => drainOnce(worker) }
    },
    /** The run's row once it has one of these statuses. */
    async run(runId: string, ...statuses: string[]) {
      return until(
        async () => {
          const { rows } = await database.pool.query('SELECT * FROM runs WHERE id = $1', [runId])
          return statuses.length === 0 || statuses.includes(rows[0]?.status) ? rows[0] : undefined
        },
        { deadlineMs: 20_000, what: `run ${runId} to be ${statuses.join(' or ')}` },
      )
    },
    async attempts(runId: string): Promise<{ status: string; node_id: string }[]> {
      return (
        await database.pool.query('SELECT status, node_id FROM attempts WHERE run_id = $1 ORDER BY number', [runId])
      ).rows
    },
    async events(runId: string): Promise<{ seq: number; type: string; data: Record<string, unknown> }[]> {
      return (await database.pool.query('SELECT seq, type, data FROM events WHERE run_id = $1 ORDER BY seq', [runId]))
        .rows
    },
    async close() {
      await Promise.all(workers.map(drainOnce))
      await acceptor.settled()
      await gate.close()
      await database.close()
      await redis[Symbol.asyncDispose]()
      await fresh.drop()
      await rm(home, { recursive: true, force: true })
    },
  }
}
