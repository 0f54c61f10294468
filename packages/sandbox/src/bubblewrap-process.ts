import { PassThrough, type Readable } from 'node:stream'
import type { AttemptLimits, Resources } from '@muster/contracts'
import { z } from 'zod'
import type { AttemptCgroup } from './cgroup/attempt-cgroup.ts'
import { letGoFirst } from './cgroup/first-to-go.ts'
import { boundFolder, folderBounds } from './disk/bound-folder.ts'
import { type HostProcess, identifyProcess, isGone, killProcess } from './host-process.ts'
import { killGroup, untilGone } from './kill-group.ts'
import { memoryBreach } from './memory-breach.ts'
import { openGate } from './open-gate.ts'
import type { ConfirmStart, SandboxExit, SandboxProcess, StartOutcome } from './sandbox.ts'
import type { SandboxGroup } from './sandbox-group.ts'
import type { Child } from './spawn-child.ts'
import { createStdinWriter } from './stdin-writer.ts'

export type BubblewrapChild = {
  readonly child: Child
  readonly group: SandboxGroup
  readonly limits: AttemptLimits
  readonly cgroup: AttemptCgroup
  readonly resources: Resources
  /** The folder to measure, or null for none. */
  readonly boundedFolder: string | null
  /** What goes through the pipe of arguments. */
  readonly environment: string
  readonly confirm: ConfirmStart | undefined
}

const HEAD_BYTES = 512
const COMMAND_NOT_FOUND = 127

const statusLineSchema = z.object({ 'child-pid': z.int().optional(), 'exit-code': z.int().optional() })

/** The life of one bubblewrap: a monitor out here, an init in a pid namespace whose death takes everything in it along. */
export async function bubblewrapProcess(spec: BubblewrapChild): Promise<StartOutcome> {
  const { child, group } = spec
  const [environment, status, gate] = child.extra
  const named = Promise.withResolvers<void>()
  let init: HostProcess | null = null
  let initSeen = false
  let exitCode: number | null = null

  environment?.end(spec.environment)
  const statusRead = status === undefined ? Promise.resolve() : readLines(status, onStatusLine)
  const stderr = child.stderr.pipe(new PassThrough())
  let head = ''
  child.stderr.on('data', (chunk: Buffer) => {
    if (head.length < HEAD_BYTES) head += chunk.toString('utf8', 0, HEAD_BYTES)
  })
  child.stderr.on('close', () => stderr.end())

  function onStatusLine(line: string): void {
    const parsed = statusLineSchema.safeParse(parseJson(line)).data
    exitCode = parsed?.['exit-code'] ?? exitCode
    const childPid = parsed?.['child-pid']
    if (childPid === undefined) return
    try {
      const found = identifyProcess(childPid)
      initSeen = found === null || found.parentPid === child.pid
      init = initSeen ? found : null
    } catch {
      // It could not be looked at: then it is found by its group.
    }
    named.resolve()
  }

  async function untilEmpty(): Promise<SandboxExit> {
    const { code, signal } = await child.exit
    // A monitor that was killed leaves the pipe to an init that may wait for it forever.
    if (signal === null) await statusRead
    if (init !== null) {
      await untilGone([init], Number.POSITIVE_INFINITY)
    } else if (!initSeen) {
      const selector = { runId: group.runId, generation: group.generation }
      await killGroup(selector, { timeoutMs: Number.POSITIVE_INFINITY })
    }
    const breach = memoryBreach(await spec.cgroup.end(), spec.resources.memory_mb)
    if (exitCode !== null || code !== 1) return { code: exitCode ?? code, signal, fault: null, breach }
    if (head.startsWith('bwrap: execvp ')) return { code: COMMAND_NOT_FOUND, signal: null, fault: null, breach }
    return { code: null, signal: null, fault: head.split('\n', 1)[0] || 'bubblewrap gave no reason', breach }
  }

  const exited = untilEmpty()

  async function kill(): Promise<void> {
    child.process.kill('SIGKILL')
    if (init !== null) killProcess(init)
    await exited
  }

  const process: SandboxProcess = {
    pid: child.pid,
    stdin: createStdinWriter(child.stdin),
    stdout: child.stdout,
    stderr,
    exited,
    limits: spec.limits,
    kill,
  }
  /** The init, while it is still at work: the program, its child, begins behind the gate, and so inside its limits. */
  async function joinLimits(): Promise<void> {
    await Promise.race([named.promise, child.exit])
    if (init === null) throw new Error('its first process was not seen')
    letGoFirst(init.pid)
    await spec.cgroup.join(init.pid)
  }

  // By its name the sandbox is found from its first instant, so the owner is asked meanwhile.
  const wanted = spec.confirm?.()
  wanted?.catch(() => undefined)
  try {
    await joinLimits()
  } catch (error) {
    // One that ended by itself while it was set up says better why, also where it did before it could be looked at.
    const isOver = initSeen && (init === null || isGone(init))
    if (!isOver) await kill()
    const { fault } = await exited
    if (fault === null) return { kind: 'failed', reason: `not put under its limits: ${wordsOf(error)}` }
  }
  const opened = await openGate(process, gate ?? null, wanted)
  if (opened.kind !== 'started' || spec.boundedFolder === null) return opened
  return {
    kind: 'started',
    process: boundFolder(process, {
      folder: spec.boundedFolder,
      bounds: folderBounds(spec.resources),
      processes: () => {
        const grouped = spec.cgroup.pids().length > 0
        return grouped || init === null ? { groups: spec.cgroup.folders } : { namespaceOf: init.pid }
      },
    }),
  }
}

async function readLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  let rest = ''
  try {
    for await (const chunk of stream.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine(line)
    }
  } catch {
    // A pipe that breaks has nothing more to say.
  }
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
