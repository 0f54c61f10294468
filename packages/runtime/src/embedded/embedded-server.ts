import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../free-port.ts'
import { makePassableFolder } from '../passable-folder.ts'
import { isRunning, type ProcessRecord } from '../process-identity.ts'
import { type StopStep, stopProcess } from '../stop-process.ts'
import { type Launch, launchAs } from './launch.ts'
import { ServerEndedError, startServerProcess, untilReady } from './server-process.ts'
import { readServerState, writeServerState } from './server-state.ts'
import { type ServiceAccount, serviceAccount } from './service-account.ts'

export type EmbeddedServer = {
  readonly url: string
  readonly port: number
  readonly process: ProcessRecord
  /** Resolves when the server has ended, for whatever reason. */
  readonly exited: Promise<void>
  /** Ends it in good order, keeping all data. */
  stop(): Promise<void>
  /** Ends it with SIGKILL, as a crash would. */
  kill(): Promise<void>
}

export type EmbeddedServerOptions = {
  /** Holds everything of this server: data, password, log. Made when missing. */
  readonly folder: string
  /** A port that must be used; without it the last one is used again if it is free, else any. */
  readonly port?: number
  /** Settings of the server by their own names, in place of or beside ours. */
  readonly settings?: Readonly<Record<string, string>>
  /** Told what an operator should know of a start that went well all the same. */
  readonly onNote?: (note: string) => void
}

/** What differs between the servers. */
export type ServerKind = {
  readonly stopSteps: readonly StopStep[]
  readonly readyWithinMs: number
  prepare(
    site: ServerSite,
  ): Promise<{ readonly command: string; readonly args: readonly string[]; readonly paths: readonly string[] }>
  /** Where data can be made anew: puts them aside if they are what a server that ended with these words could not read, and says so. */
  putAside?(site: ServerSite, said: string): string | null
  url(site: ServerSite): string
  isReady(site: ServerSite): Promise<boolean>
}

export type ServerSite = {
  readonly folder: string
  readonly logFile: string
  readonly port: number
  readonly password: string
  readonly account: ServiceAccount | null
  readonly settings: Readonly<Record<string, string>>
}

const KILL: StopStep = { signal: 'SIGKILL', waitMs: 10_000 }
const LOG_BYTES_MAX = 16 * 1024 * 1024
const STARTS = 4

/**
 * Starts a server on its folder. One that an earlier process left behind on that folder is ended first, so exactly one serves the data;
 * two living processes must not be given the same folder.
 */
export async function startEmbeddedServer(kind: ServerKind, options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const { folder } = options
  makePassableFolder(folder)
  const state = readServerState(folder)
  if (state.process !== null) await stopProcess(state.process, 'process', [...kind.stopSteps, KILL])
  const account = await serviceAccount()
  const logFile = join(folder, 'server.log')
  if ((statSync(logFile, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES_MAX) rmSync(logFile)

  for (let start = 1; ; start++) {
    const port = options.port ?? (await freePort(start === 1 && state.port !== null ? state.port : undefined))
    const site: ServerSite = {
      folder,
      logFile,
      port,
      password: state.password,
      account,
      settings: options.settings ?? {},
    }
    writeServerState(folder, { ...state, port, process: null })
    const { command, args, paths } = await kind.prepare(site)
    try {
      return await serve(kind, site, launchAs(account, paths, command, args))
    } catch (error) {
      // The port may have been taken between the look and the start, and a crashed server's children may still be leaving.
      if (!(error instanceof ServerEndedError) || start === STARTS) throw error
      const note = kind.putAside?.(site, error.message) ?? null
      if (note !== null) options.onNote?.(note)
      await new Promise((resolve) => setTimeout(resolve, 250 * start))
    }
  }
}

async function serve(kind: ServerKind, site: ServerSite, launch: Launch): Promise<EmbeddedServer> {
  const server = await startServerProcess(launch, site.logFile)
  writeServerState(site.folder, { password: site.password, port: site.port, process: server.record })
  try {
    await untilReady(server, site.logFile, () => kind.isReady(site), kind.readyWithinMs)
  } catch (error) {
    await stopProcess(server.record, 'process', [KILL])
    throw error
  }
  const end = async (steps: readonly StopStep[]): Promise<void> => {
    await stopProcess(server.record, 'process', steps)
    if (!isRunning(server.record)) await server.exited
  }
  return {
    url: kind.url(site),
    port: site.port,
    process: server.record,
    exited: server.exited,
    stop: () => end([...kind.stopSteps, KILL]),
    kill: () => end([KILL]),
  }
}
