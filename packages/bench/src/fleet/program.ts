import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const REPOSITORY_FOLDER = fileURLToPath(new URL('../../../../', import.meta.url))

/** A process under measurement. */
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
  readonly logFile: string
  /** Asked until it answers true. */
  readonly isReady: () => Promise<boolean>
  readonly nodeArguments?: readonly string[]
}

const READY_MS = 30_000
const STOP_MS = 10_000

/** Starts a Node program with nothing but the given environment and waits until it is ready. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const log = openSync(options.logFile, 'a', 0o600)
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [...(options.nodeArguments ?? []), options.entry], {
    cwd: REPOSITORY_FOLDER,
    stdio: ['ignore', log, log],
    env: { PATH, HOME, NODE_ENV: 'production', ...options.env },
  })
  closeSync(log)
  const gone = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await gone
  }
  const deadline = performance.now() + READY_MS
  while (!(await options.isReady().catch(() => false))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await kill()
      throw new Error(`${options.entry} did not become ready; see ${options.logFile}`)
    }
    await sleep(20)
  }
  return {
    pid: child.pid ?? 0,
    kill,
    async stop() {
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      if (child.exitCode === null && child.signalCode === null) await gone
      clearTimeout(force)
    },
  }
}
