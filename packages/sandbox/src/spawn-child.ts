import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { isMainThread } from 'node:worker_threads'
import { shieldedDescriptors } from './inherited-descriptors.ts'
import type { PipeEnds, Pipes } from './pipes.ts'
import type { SandboxUser } from './sandbox-user.ts'

type PipeKind = 'in' | 'out'

export type ChildSpec = {
  readonly command: string
  readonly arguments: readonly string[]
  /** What the host shows as argument zero. */
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly user: SandboxUser | null
  readonly folder: string
  readonly session: 'own' | 'shared'
  readonly pipes: Pipes
  /** The pipes that it gets beside stdin, stdout and stderr: `in` is one that it reads. */
  readonly extra: readonly PipeKind[]
  /** Descriptors of ours that it gets after those pipes. */
  readonly files?: readonly number[]
}

export type Child = {
  readonly process: ChildProcess
  readonly pid: number
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly extra: readonly Socket[]
  readonly exit: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

const STANDARD: readonly PipeKind[] = ['in', 'out', 'out']
const AGENT_UMASK = 0o022
/** What it takes to spawn beside the pipes, and a little more for other threads. */
const SPAWNING_DESCRIPTORS = 6

/** Starts a program once it carries its name, or answers why it did not start. */
export async function spawnChild(spec: ChildSpec): Promise<Child | string> {
  // The signal that a child gets when its parent dies is sent when the parent *thread* ends.
  if (!isMainThread) return 'sandboxes start from the main thread only'
  const kinds = [...STANDARD, ...spec.extra]
  const scarcity = scarcityOf(2 * kinds.length + SPAWNING_DESCRIPTORS)
  if (scarcity !== null) return scarcity
  let ends: readonly PipeEnds[]
  try {
    ends = await spec.pipes.open(kinds.length)
  } catch (error) {
    return reasonOf(error)
  }
  const [theirs, ours] = partedBy(kinds, ends)
  const started = await spawnOver(theirs, spec)
  if (typeof started === 'string') {
    for (const end of ours) closeSync(end)
    return started
  }
  const { child, pid } = started
  const [stdin, stdout, stderr, ...extra] = ours.map((fd, index) => {
    const isRead = kinds[index] === 'out'
    const stream = new Socket({ fd, readable: isRead, writable: !isRead })
    stream.on('error', () => undefined)
    return stream
  })
  if (stdin === undefined || stdout === undefined || stderr === undefined) return 'the program has no pipes'
  child.on('error', () => undefined)
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null)
      resolve({ code: child.exitCode, signal: child.signalCode })
    else child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  return { process: child, pid, stdin, stdout, stderr, extra, exit }
}

/** The ends that the child gets, and those that stay here. */
function partedBy(kinds: readonly PipeKind[], ends: readonly PipeEnds[]): readonly [number[], number[]] {
  const isIn = (index: number) => kinds[index] === 'in'
  return [
    ends.map(({ read, write }, index) => (isIn(index) ? read : write)),
    ends.map(({ read, write }, index) => (isIn(index) ? write : read)),
  ]
}

/** Spawns over these descriptors, which are closed here whatever becomes of it. */
async function spawnOver(
  theirs: readonly number[],
  spec: ChildSpec,
): Promise<{ readonly child: ChildProcess; readonly pid: number } | string> {
  let child: ChildProcess
  // A child inherits the mask of the moment it is forked in; nothing else runs in this thread meanwhile.
  const umask = process.umask(AGENT_UMASK)
  try {
    child = spawn(spec.command, spec.arguments, {
      argv0: spec.name,
      env: spec.env,
      cwd: spec.folder,
      detached: spec.session === 'own',
      stdio: shieldedDescriptors([...theirs, ...(spec.files ?? [])]),
      ...(spec.user ?? {}),
    })
  } catch (error) {
    return reasonOf(error)
  } finally {
    process.umask(umask)
    for (const end of theirs) closeSync(end)
  }
  try {
    await once(child, 'spawn')
  } catch (error) {
    return reasonOf(error)
  }
  return child.pid === undefined ? 'the program has no process' : { child, pid: child.pid }
}

/** Why so many descriptors cannot be opened, or null: told before anything is begun that would have to be undone. */
function scarcityOf(count: number): string | null {
  const taken: number[] = []
  try {
    while (taken.length < count) taken.push(openSync('/dev/null', 'r'))
    return null
  } catch (error) {
    return reasonOf(error)
  } finally {
    for (const fd of taken) closeSync(fd)
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
