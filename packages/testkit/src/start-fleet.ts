import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { type ProcessRecord, processRecord, readFileIfAny, signalProcess } from '@muster/runtime'
import { onTestFailed } from 'vitest'
import { z } from 'zod'
import { type FleetClient, fleetClient } from './fleet-client.ts'
import { REPOSITORY_FOLDER } from './repository.ts'
import { removeScratchFolder, scratchFolder } from './scratch-folder.ts'
import { until } from './until.ts'

export type FleetOptions = {
  readonly workers?: number
  readonly slots?: number
  readonly databaseUrl?: string
  readonly redisUrl?: string
  /** A home to start in, kept afterwards; without it one is made and removed. */
  readonly home?: string
  /** Further variables, such as MUSTER_POOLS or MUSTER_DRAIN_MAX_MS. */
  readonly env?: Readonly<Record<string, string>>
  /** The program, relative to the repository; the real one unless told. */
  readonly program?: string
  readonly readyWithinMs?: number
}

const readyFileSchema = z.object({
  url: z.string(),
  api_key: z.string(),
  admin_token: z.string(),
  gateway_pid: z.int(),
  worker_pids: z.array(z.int()),
  database_url: z.string(),
  redis_url: z.string(),
})
export type FleetFacts = z.infer<typeof readyFileSchema>

export type TestFleet = {
  readonly home: string
  readonly supervisor: ProcessRecord
  /** What `ready.json` says now; it changes when a part is restarted, and is null while the file is not there. */
  facts(): FleetFacts | null
  readonly url: string
  /** With the API key of the workspace `default`. */
  readonly client: FleetClient
  readonly admin: FleetClient
  /** Everything that the fleet has printed. */
  log(): string
  /** Sends a signal to the supervisor alone. */
  signal(signal: NodeJS.Signals): void
  /** The supervisor's exit code; null when a signal ended it. */
  readonly exited: Promise<number | null>
  /** Ctrl-C, and waits for the end. */
  stop(): Promise<number | null>
  /** Stops it, by force if it does not stop within 60 s, and removes its home. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts `muster up` in a home of its own on a free port and waits until it is ready; the end of its log is printed when the test fails. */
export async function startFleet(options: FleetOptions = {}): Promise<TestFleet> {
  const fleet = launchFleet(options)
  try {
    const facts = await Promise.race([
      until(() => fleet.facts(), {
        deadlineMs: options.readyWithinMs ?? 90_000,
        everyMs: 50,
        what: 'the fleet to be ready',
      }),
      fleet.exited.then((code) => {
        throw new Error(`the fleet ended with ${code} before it was ready`)
      }),
    ])
    return {
      ...fleet,
      url: facts.url,
      client: fleetClient(facts.url, facts.api_key),
      admin: fleetClient(facts.url, facts.admin_token),
    }
  } catch (error) {
    const tail = lastLines(fleet.log())
    await fleet[Symbol.asyncDispose]()
    throw new Error(`${error instanceof Error ? error.message : error}\n${tail}`, { cause: error })
  }
}

export type LaunchedFleet = Omit<TestFleet, 'url' | 'client' | 'admin'>

/** Starts it without waiting, for tests of what happens before it is ready. */
export function launchFleet(options: FleetOptions = {}): LaunchedFleet {
  const scratch = options.home === undefined ? scratchFolder() : null
  const home = options.home ?? join(scratch ?? '', 'home')
  const readyFile = join(home, 'ready.json')
  // One that a killed fleet left behind says nothing about this one.
  const stale = readFileIfAny(readyFile)
  const logFile = join(home, '..', `fleet-${process.pid}-${Math.random().toString(36).slice(2)}.log`)
  const log = openSync(logFile, 'a', 0o600)
  const child = spawn(process.execPath, [options.program ?? 'apps/cli/src/main.ts', 'up'], {
    cwd: REPOSITORY_FOLDER,
    // The channel makes the fleet stop when this process is killed.
    stdio: ['ignore', log, log, 'ipc'],
    detached: true,
    env: fleetEnvironment(home, options),
  })
  closeSync(log)
  const supervisor = recordOf(child)
  const exited = once(child, 'exit').then(([code]: (number | null)[]) => code ?? null)
  const stop = async (): Promise<number | null> => {
    signalProcess(supervisor, 'process', 'SIGINT')
    return exited
  }
  let removed: string | null = null
  const readLog = (): string => removed ?? readFileIfAny(logFile) ?? ''
  printTailOnFailure(readLog)
  return {
    home,
    supervisor,
    facts: () => {
      const text = readFileIfAny(readyFile)
      return text === null || text === stale ? null : readyFileSchema.parse(JSON.parse(text))
    },
    log: readLog,
    signal: (signal) => signalProcess(supervisor, 'process', signal),
    exited,
    stop,
    [Symbol.asyncDispose]: async () => {
      const force = setTimeout(() => signalProcess(supervisor, 'process', 'SIGTERM'), 60_000)
      await stop()
      clearTimeout(force)
      removed = readLog()
      if (scratch !== null) await removeScratchFolder(scratch)
    },
  }
}

function fleetEnvironment(home: string, options: FleetOptions): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE } = process.env
  return {
    PATH,
    HOME,
    TMPDIR,
    NODE_COMPILE_CACHE,
    MUSTER_HOME: home,
    MUSTER_PORT: '0',
    ...(options.workers === undefined ? {} : { MUSTER_WORKERS: String(options.workers) }),
    ...(options.slots === undefined ? {} : { MUSTER_SLOTS: String(options.slots) }),
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
    ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
    ...options.env,
  }
}

function recordOf(child: ChildProcess): ProcessRecord {
  const record = child.pid === undefined ? null : processRecord(child.pid)
  if (record === null) throw new Error('the fleet did not start')
  return record
}

function printTailOnFailure(log: () => string): void {
  try {
    onTestFailed(() => console.log(`--- the fleet's log ends with\n${lastLines(log())}`))
  } catch {
    // Started outside a test, in a hook: whoever starts it prints the log.
  }
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-60).join('\n')
}
