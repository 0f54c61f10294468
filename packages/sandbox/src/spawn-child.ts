import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { isMainThread } from 'node:worker_threads'
import { inheritedDescriptors } from './inherited-descriptors.ts'
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

/** Starts a program once it carries its name, or answers why it did not start. */
export async function spawnChild(spec: ChildSpec): Promise<Child | string> {
  // The signal that a child gets when its parent dies is sent when the parent *thread* ends.
  if (!isMainThread) return 'sandboxes start from the main thread only'
  let child: ChildProcess
  // A child inherits the mask of the moment it is forked in; nothing else runs in this thread meanwhile.
  const umask = process.umask(AGENT_UMASK)
  try {
    child = spawn(spec.command, spec.arguments, {
      argv0: spec.name,
      env: spec.env,
      cwd: spec.folder,
      detached: spec.session === 'own',
      stdio: descriptorsFor(3 + spec.extraPipes, spec.files ?? []),
      ...(spec.user ?? {}),
    })
  } catch (error) {
    return reasonOf(error)
  } finally {
    process.umask(umask)
  }
  for (const stream of child.stdio) stream?.on('error', () => undefined)
  try {
    await once(child, 'spawn')
  } catch (error) {
    return reasonOf(error)
  }
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

let shields: { readonly nothing: number; readonly inherited: readonly number[] } | null = null

/** Pipes first, then files; over each descriptor that the child would inherit from our own parent goes one of /dev/null. */
function descriptorsFor(pipes: number, files: readonly number[]): ('pipe' | 'ignore' | number)[] {
  shields ??= { inherited: inheritedDescriptors(), nothing: openSync('/dev/null', 'r+') }
  const descriptors: ('pipe' | 'ignore' | number)[] = Array.from({ length: pipes }, () => 'pipe')
  descriptors.push(...files)
  const taken = descriptors.length
  for (const fd of shields.inherited) {
    while (descriptors.length < fd) descriptors.push('ignore')
    if (fd >= taken) descriptors[fd] = shields.nothing
  }
  return descriptors
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
