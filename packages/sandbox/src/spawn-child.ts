import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { isMainThread } from 'node:worker_threads'
import { type Descriptor, shieldedDescriptors } from './inherited-descriptors.ts'
import type { SandboxUser } from './sandbox-user.ts'

export type ChildSpec = {
  readonly command: string
  readonly arguments: readonly string[]
  /** What the host shows as argument zero. */
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly user: SandboxUser | null
  readonly folder: string
  readonly session: 'own' | 'shared'
  /** How many pipes it gets beside stdin, stdout and stderr. */
  readonly extraPipes: number
  /** Descriptors of ours that it gets after those pipes. */
  readonly files?: readonly number[]
}

export type Child = {
  readonly process: ChildProcess
  readonly pid: number
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly extra: readonly (Readable | Writable | null | undefined)[]
  readonly exit: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

const AGENT_UMASK = 0o022
/** What it takes to spawn beside the pipes, and a little more for other threads. */
const SPAWNING_DESCRIPTORS = 6

/** Starts a program once it carries its name, or answers why it did not start. */
export async function spawnChild(spec: ChildSpec): Promise<Child | string> {
  // The signal that a child gets when its parent dies is sent when the parent *thread* ends.
  if (!isMainThread) return 'sandboxes start from the main thread only'
  const pipes = Array.from({ length: 3 + spec.extraPipes }, (): Descriptor => 'pipe')
  const scarcity = scarcityOf(2 * pipes.length + SPAWNING_DESCRIPTORS)
  if (scarcity !== null) return scarcity
  let child: ChildProcess
  // A child inherits the mask of the moment it is forked in; nothing else runs in this thread meanwhile.
  const umask = process.umask(AGENT_UMASK)
  try {
    child = spawn(spec.command, spec.arguments, {
      argv0: spec.name,
      env: spec.env,
      cwd: spec.folder,
      detached: spec.session === 'own',
      stdio: shieldedDescriptors([...pipes, ...(spec.files ?? [])]),
      ...(spec.user ?? {}),
    })
  } catch (error) {
    return reasonOf(error)
  } finally {
    process.umask(umask)
  }
  try {
    await once(child, 'spawn')
  } catch (error) {
    return reasonOf(error)
  }
  // Not before: a child for whose pipes no descriptors were left has none to listen to.
  for (const stream of child.stdio) stream?.on('error', () => undefined)
  child.on('error', () => undefined)
  const { pid, stdin, stdout, stderr } = child
  if (pid === undefined || stdin === null || stdout === null || stderr === null) return 'the program has no pipes'
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null)
      resolve({ code: child.exitCode, signal: child.signalCode })
    else child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  return {
    process: child,
    pid,
    stdin,
    stdout,
    stderr,
    extra: Array.from(child.stdio).slice(3, 3 + spec.extraPipes),
    exit,
  }
}

/**
 * Why so many descriptors cannot be opened, or null. The pipes of a child for which they run out in the middle stay open for good:
 * Node forgets them.
 */
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
