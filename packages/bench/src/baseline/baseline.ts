import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '@muster/runtime'
import { startProgram } from '../fleet/program.ts'
import { runsIn } from '../fleet/read-runs.ts'
import { query, type Servers } from '../fleet/servers.ts'
import type { System, SystemOptions } from '../system.ts'

const TABLE = `CREATE TABLE commands (
  id uuid PRIMARY KEY, status text NOT NULL, body jsonb NOT NULL, output jsonb,
  created_at timestamptz NOT NULL DEFAULT now(), started_at timestamptz, ended_at timestamptz)`

/** The baseline on empty servers. */
export async function startBaseline(servers: Servers, options: SystemOptions): Promise<System> {
  const databaseUrl = await servers.createDatabase()
  await servers.flushRedis()
  await query(databaseUrl, TABLE)
  const port = await freePort()
  const common = { DATABASE_URL: databaseUrl, REDIS_URL: servers.redisUrl, POOL_SIZE: String(options.poolSize) }
  const gateway = await startProgram({
    entry: 'packages/bench/src/baseline/gateway.ts',
    env: { ...common, PORT: String(port) },
    logFile: join(servers.folder, 'baseline-gateway.log'),
    isReady: async () => (await fetch(`http://127.0.0.1:${port}/ready`)).ok,
  })
  const startWorker = () => {
    const readyFile = join(servers.folder, 'baseline-worker-ready')
    rmSync(readyFile, { force: true })
    return startProgram({
      entry: 'packages/bench/src/baseline/worker.ts',
      env: {
        ...common,
        CONCURRENCY: String(options.concurrency),
        JOB_MS: String(options.runMs ?? 0),
        READY_FILE: readyFile,
      },
      logFile: join(servers.folder, 'baseline-worker.log'),
      isReady: async () => existsSync(readyFile),
    })
  }
  return {
    target: {
      url: `http://127.0.0.1:${port}/commands`,
      clients: [{ authorization: '' }],
      body: { message: 'noop', agent: 'bench' },
    },
    databaseUrl,
    startWorker,
    keepWaiting: async () => null,
    ...runsIn(databaseUrl, 'commands'),
    async firstEndAfter(id) {
      const [row] = await query<{ ended_at_ms: number | null }>(
        databaseUrl,
        `SELECT extract(epoch FROM min(c.ended_at))::float8 * 1000 AS ended_at_ms
         FROM commands c JOIN commands mine ON mine.id = $1 AND c.id <> mine.id AND c.ended_at > mine.created_at`,
        [id],
      )
      return row?.ended_at_ms ?? null
    },
    stop: () => gateway.stop(),
  }
}
