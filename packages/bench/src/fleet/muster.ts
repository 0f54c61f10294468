import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@muster/runtime'
import { migrate } from '@muster/store'
import { z } from 'zod'
import type { System, SystemOptions } from '../system.ts'
import { type Program, REPOSITORY_FOLDER, startProgram } from './program.ts'
import { runsIn } from './read-runs.ts'
import { query, type Servers } from './servers.ts'

const ADMIN_TOKEN = 'a-token-for-the-benchmark'
/** Runs of the pool `none` are no-ops here. */
const NOOP_POLICY = { runtime_type: 'none', workspace_access: 'rw', network_enabled: true } as const

/** The message of a run that lasts and shows events meanwhile. */
export const lasting = (order: { readonly ms: number; readonly events?: number }): string => JSON.stringify(order)

export type MusterOptions = SystemOptions & {
  /** Further settings of the workers, such as MUSTER_POOLS. */
  readonly workerEnv?: Readonly<Record<string, string>>
  readonly workspaces?: number
  /** Further settings of the gateway. */
  readonly gatewayEnv?: Readonly<Record<string, string>>
}

export type Muster = System & {
  readonly url: string
  readonly gatewayPid: number
  /** One a workspace. */
  readonly tenants: readonly { readonly id: string; readonly authorization: string }[]
  readonly admin: { readonly authorization: string }
  /** A worker with a log of its own. */
  startWorker(): Promise<Program>
}

const WORKSPACES = 10
/** Longer than any benchmark. */
const HELD_MS = 3_600_000
const LANES = ['main', 'batch']

/** One gateway on empty servers, with workspaces that have one agent each; commands take turns in tenants and lanes. */
export async function startMuster(servers: Servers, options: MusterOptions): Promise<Muster> {
  const databaseUrl = await servers.createDatabase()
  await servers.flushRedis()
  await migrate(databaseUrl, join(REPOSITORY_FOLDER, 'prisma/migrations'))
  const [port, sessionsRoot] = [await freePort(), servers.site(`sessions-${randomUUID()}`)]
  const url = `http://127.0.0.1:${port}`
  const common = { DATABASE_URL: databaseUrl, REDIS_URL: servers.redisUrl, MUSTER_LOG_LEVEL: 'warn' }
  const gateway = await startProgram({
    entry: 'apps/gateway/src/main.ts',
    env: {
      ...common,
      MUSTER_HOST: '127.0.0.1',
      MUSTER_PORT: String(port),
      MUSTER_ADMIN_TOKEN: ADMIN_TOKEN,
      ...options.gatewayEnv,
    },
    logFile: join(servers.folder, 'muster-gateway.log'),
    isReady: async () => (await fetch(`${url}/livez`)).ok,
  })
  const admin = { authorization: `Bearer ${ADMIN_TOKEN}` }
  const tenants = await Promise.all(
    Array.from({ length: options.workspaces ?? WORKSPACES }, (_, index) => makeTenant(url, admin, `tenant-${index}`)),
  )
  let workers = 0
  async function startWorker(slots: number): Promise<Program> {
    const healthPort = await freePort()
    return startProgram({
      entry: 'apps/worker/src/main.ts',
      env: {
        ...common,
        MUSTER_NOOP: 'for-benchmarks',
        MUSTER_POOLS: `none:${slots}`,
        MUSTER_SESSIONS_ROOT: sessionsRoot,
        MUSTER_CACHE_ROOT: join(servers.folder, 'cache'),
        MUSTER_HEALTH_PORT: String(healthPort),
        ...options.workerEnv,
      },
      logFile: join(servers.folder, `muster-worker-${++workers}.log`),
      isReady: async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok,
    })
  }
  return {
    url,
    gatewayPid: gateway.pid,
    admin,
    tenants,
    databaseUrl,
    target: {
      url: `${url}/v1/commands`,
      clients: tenants,
      body: { agent: 'bench', message: options.runMs === undefined ? 'noop' : lasting({ ms: options.runMs }) },
      vary: { field: 'lane', values: LANES },
    },
    startWorker: () => startWorker(options.concurrency),
    async keepWaiting() {
      const worker = await startWorker(1)
      const [tenant] = tenants
      if (tenant === undefined) throw new Error('there is no tenant')
      const command = { agent: 'bench', message: lasting({ ms: HELD_MS }) }
      await post(`${url}/v1/commands`, tenant, command, z.object({ run: identified }))
      while ((await query(databaseUrl, `SELECT FROM runs WHERE status = 'running'`)).length === 0) await sleep(50)
      return worker
    },
    ...runsIn(databaseUrl, 'runs'),
    async firstEndAfter(id) {
      const [row] = await query<{ ended_at_ms: number | null }>(
        databaseUrl,
        `SELECT extract(epoch FROM min(a.ended_at))::float8 * 1000 AS ended_at_ms
         FROM attempts a JOIN runs mine ON mine.id = $1 AND a.run_id <> mine.id AND a.ended_at > mine.queued_at`,
        [id],
      )
      return row?.ended_at_ms ?? null
    },
    stop: () => gateway.stop(),
  }
}

async function makeTenant(url: string, admin: { readonly authorization: string }, key: string) {
  const { workspace } = await post(`${url}/v1/workspaces`, admin, { key }, z.object({ workspace: identified }))
  const { secret } = await post(`${url}/v1/workspaces/${key}/keys`, admin, {}, z.object({ secret: z.string() }))
  const tenant = { id: workspace.id, authorization: `Bearer ${secret}` }
  const config = { runner: 'process', command: ['true'], policy: NOOP_POLICY }
  await post(`${url}/v1/agents`, tenant, { key: 'bench', config }, z.object({ agent: identified }))
  return tenant
}

const identified = z.object({ id: z.string() })

/** POSTs and parses the answer; throws unless it is a good one. */
async function post<Answer>(
  url: string,
  { authorization }: { readonly authorization: string },
  body: object,
  answer: z.ZodType<Answer>,
): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`)
  return answer.parse(JSON.parse(text))
}
