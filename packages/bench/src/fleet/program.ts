import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { processRecord } from '@muster/runtime'

export const REPOSITORY_FOLDER = fileURLToPath(new URL('../../../../', import.meta.url))

/** A process under measurement. It also ends when the process that started it does. */
export type Program = {
  readonly pid: number
  /** SIGTERM, and after 10 s SIGKILL; resolves when it is gone. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

export type ProgramOptions = {
  /** Relative to the repository. */
  readonly entry: string
  readonly env: Readonly<Record<string, string>>
  /** In the folder of the servers: beside it the process is recorded, so that it is ended with them. */
  readonly logFile: string
  /** Asked until it answers true. */
  readonly isReady: () => Promise<boolean>
  readonly nodeArguments?: readonly string[]
}

const READY_MS = 60_000
const STOP_MS = 10_000

/** Starts a Node program with nothing but the given environment and waits until it is ready. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const log = openSync(options.logFile, 'a', 0o600)
  const { PATH, HOME, NODE_COMPILE_CACHE } = process.env
  const child = spawn(process.execPath, [...(options.nodeArguments ?? []), options.entry], {
    cwd: REPOSITORY_FOLDER,
    // The channel tells it when this process is gone.
    stdio: ['ignore', log, log, 'ipc'],
    env: { PATH, HOME, NODE_COMPILE_CACHE, NODE_ENV: 'production', ...options.env },
  })
  closeSync(log)
  const gone = once(child, 'exit')
  gone.catch(() => undefined)
  const { pid = 0 } = child
  writeFileSync(`${options.logFile}.${pid}.process.json`, JSON.stringify({ process: processRecord(pid) }))
  const isGone = (): boolean => child.exitCode !== null || child.signalCode !== null
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    if (!isGone()) await gone
  }
  const deadline = performance.now() + READY_MS
  while (!(await options.isReady().catch(() => false))) {
    if (isGone() || performance.now() > deadline) {
      await kill()
      throw new Error(`${options.entry} did not become ready; see ${options.logFile}`)
    }
    await sleep(20)
  }
  return {
    pid,
    kill,
    async stop() {
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      if (!isGone()) await gone
      clearTimeout(force)
    },
  }
}
