import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  type EmbeddedServer,
  type EmbeddedServerOptions,
  type ServerKind,
  startEmbeddedServer,
} from './embedded-server.ts'
import { redisCommand } from './redis-command.ts'

const run = promisify(execFile)

/**
 * Starts the machine's `redis-server` (or `valkey-server`) on 127.0.0.1 with a generated password, an append-only file written each
 * second and no eviction, which BullMQ needs. Data that it cannot read are put aside: nothing that must be true lives only in Redis.
 */
export function startRedis(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  return startEmbeddedServer(redis, options)
}

const redis: ServerKind = {
  readyWithinMs: 60_000,
  stopSteps: [{ signal: 'SIGTERM', waitMs: 15_000 }],
  prepare: async (site) => {
    const program = await redisProgram()
    const data = join(site.folder, 'data')
    const file = join(site.folder, 'redis.conf')
    mkdirSync(data, { recursive: true, mode: 0o700 })
    const settings = {
      ...SETTINGS,
      ...site.settings,
      port: String(site.port),
      dir: quoted(data),
      requirepass: quoted(site.password),
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`)
    writeFileSync(file, lines.join(''), { mode: 0o600 })
    if (site.account !== null) for (const path of [data, file]) chownSync(path, site.account.uid, site.account.gid)
    return { command: program, args: [file], paths: [program, file, data] }
  },
  putAside: ({ folder }, said) => {
    if (!UNREADABLE.test(said)) return null
    const aside = join(folder, 'data.unreadable')
    rmSync(aside, { recursive: true, force: true })
    renameSync(join(folder, 'data'), aside)
    return `Redis could not read its data and starts without; they were put aside as ${aside}`
  },
  url: (site) => `redis://:${site.password}@127.0.0.1:${site.port}`,
  isReady: (site) =>
    redisCommand(redis.url(site), ['PING']).then(
      (reply) => reply === '+PONG',
      () => false,
    ),
}

/** How servers say that what they wrote was damaged (by a crash of the machine, say) or is another version's. A cut end they mend themselves. */
const UNREADABLE =
  /Bad file format reading the append only file|Invalid AOF manifest|Can't handle RDB format|Wrong signature trying to load DB|Short read or OOM loading DB|Internal error in RDB/

const SETTINGS = {
  bind: '127.0.0.1',
  daemonize: 'no',
  appendonly: 'yes',
  appendfsync: 'everysec',
  save: '""',
  'maxmemory-policy': 'noeviction',
  'always-show-logo': 'no',
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

async function redisProgram(): Promise<string> {
  try {
    return (await run('sh', ['-c', 'command -v redis-server || command -v valkey-server'])).stdout.trim()
  } catch {
    throw new Error('no redis-server and no valkey-server on PATH: install one, or set REDIS_URL')
  }
}
