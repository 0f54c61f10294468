import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ProcessRecord, processRecord } from '../process-identity.ts'
import type { Launch } from './launch.ts'

export type ServerProcess = {
  readonly record: ProcessRecord
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>
}

/** Starts a server in a process group of its own, with all its output in a file, so that a signal from the terminal does not reach it. */
export async function startServerProcess(launch: Launch, logFile: string): Promise<ServerProcess> {
  const log = openSync(logFile, 'a', 0o600)
  try {
    const child = spawn(launch.command, launch.args, {
      ...launch.identity,
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    })
    await once(child, 'spawn')
    const exited = child.exitCode === null ? once(child, 'exit').then(() => undefined) : Promise.resolve()
    const record = child.pid === undefined ? null : processRecord(child.pid)
    if (record === null) throw new Error(`${launch.command} ended at once: ${lastLines(logFile)}`)
    return { record, exited }
  } finally {
    closeSync(log)
  }
}

/** Waits until a server answers as it should; fails with the end of its log when it ends first or takes too long. */
export async function untilReady(
  server: ServerProcess,
  logFile: string,
  ready: () => Promise<boolean>,
  deadlineMs: number,
): Promise<void> {
  let ended = false
  void server.exited.then(() => {
    ended = true
  })
  const deadline = performance.now() + deadlineMs
  while (!(await ready())) {
    if (ended) throw new ServerEndedError(lastLines(logFile))
    if (performance.now() > deadline) throw new Error(`not ready within ${deadlineMs} ms: ${lastLines(logFile)}`)
    await sleep(25)
  }
}

/** The server ended before it was ready; the message is the end of its log. */
export class ServerEndedError extends Error {
  override readonly name = 'ServerEndedError'
}

function lastLines(logFile: string): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-8).join('\n')
}
