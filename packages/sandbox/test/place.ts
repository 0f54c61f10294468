import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { newId } from '@muster/core'
import {
  isAgentsUser,
  type Sandbox,
  type SandboxExit,
  type SandboxProcess,
  type SandboxSpec,
  type StartOutcome,
  sessionUser,
} from '../src/index.ts'

/** A folder that agents can pass, removed at the end. */
export function makePlace(): { readonly root: string; remove(): void } {
  const root = mkdtempSync('/tmp/muster-sandbox-')
  chmodSync(root, 0o755)
  return { root, remove: () => rmSync(root, { recursive: true, force: true, maxRetries: 5 }) }
}

/** The user of some session; null where agents run as this process does. */
export const AGENT = sessionUser(newId('session'))

/** Makes a folder that `AGENT` may write. */
export function makeWorkspace(folder: string): string {
  mkdirSync(folder, { mode: 0o700 })
  if (AGENT !== null) chownSync(folder, AGENT.uid, AGENT.gid)
  return folder
}

export function makeSpec(over: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    group: { runId: newId('run'), sessionId: newId('session'), generation: 1 },
    command: ['true'],
    env: {},
    files: {},
    bundleFolder: null,
    attachmentsFolder: null,
    workspaceFolder: null,
    workspaceAccess: 'none',
    network: false,
    resources: { cpu: 1, memory_mb: 256, pids: 64, disk_mb: 64 },
    required: [],
    ...over,
  }
}

/** Polls until the condition holds; fails after half a minute. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never came true: ${what}`)
    await delay(10)
  }
}

export type HostView = { readonly pid: number; readonly command: string; readonly state: string; readonly uid: number }

/** The processes of this host, whatever their namespace, whose command line holds a text; zombies are not alive. */
export function living(marker: string): HostView[] {
  const found: HostView[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      const state = /\nState:\t(\w)/.exec(status)?.[1] ?? 'X'
      const uid = Number(/\nUid:\t(\d+)/.exec(status)?.[1])
      if (command.includes(marker) && state !== 'Z' && state !== 'X') found.push({ pid, command, state, uid })
    } catch {
      // It ended while it was looked at.
    }
  }
  return found
}

/** The command lines of agents' processes that hold a file open. */
export function holdersOf(path: string): string[] {
  return living('').flatMap((one) => {
    if (!isAgentsUser(one.uid)) return []
    try {
      const folder = `/proc/${one.pid}/fd`
      return readdirSync(folder).some((fd) => readlinkSync(`${folder}/${fd}`) === path) ? [one.command] : []
    } catch {
      return []
    }
  })
}

export function stateOf(pid: number): string {
  try {
    return /\nState:\t(\w)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 'X'
  } catch {
    return 'X'
  }
}

export function startedProcess(outcome: StartOutcome): SandboxProcess {
  if (outcome.kind !== 'started') throw new Error(`not started: ${JSON.stringify(outcome)}`)
  return outcome.process
}

export type Finished = SandboxExit & { readonly stdout: string; readonly stderr: string }

/** Starts, reads everything, answers when the sandbox is empty. */
export async function runToEnd(sandbox: Sandbox, spec: SandboxSpec): Promise<Finished> {
  const process = startedProcess(await sandbox.start(spec))
  const [stdout, stderr, exit] = await Promise.all([text(process.stdout), text(process.stderr), process.exited])
  return { ...exit, stdout, stderr }
}

/** A number of seconds to sleep that no other test uses, to find the sleeper by. */
export function uniqueSleep(): string {
  return `9${Math.floor(Math.random() * 1e9)}.${process.pid}`
}
