import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AttemptLimits } from '@muster/contracts'
import { z } from 'zod'
import type { AttemptCgroup } from '../cgroup/attempt-cgroup.ts'
import { boundFolder, folderBounds } from '../disk/bound-folder.ts'
import { processFinder } from '../disk/find-processes.ts'
import { killGroup, killNamespaceIn } from '../kill-group.ts'
import { memoryBreach } from '../memory-breach.ts'
import { openGate } from '../open-gate.ts'
import { runCommand } from '../run-command.ts'
import type { ConfirmStart, SandboxExit, SandboxProcess, SandboxSpec, StartOutcome } from '../sandbox.ts'
import type { Child } from '../spawn-child.ts'
import { createStdinWriter } from '../stdin-writer.ts'

export type OciContainer = {
  readonly id: string
  readonly runtime: string
  readonly states: string
  /** Holds the configuration and the runtime's log; removed at the end. */
  readonly bundle: string
}

export type OciChild = {
  readonly child: Child
  readonly spec: SandboxSpec
  readonly limits: AttemptLimits
  readonly container: OciContainer
  readonly cgroup: AttemptCgroup
  /** Puts the process that becomes the runtime under its limits; nothing where the runtime sets them. */
  readonly prepare: (pid: number) => Promise<void>
  readonly confirm: ConfirmStart | undefined
}

export const OCI_LOG = 'log.json'

const RUNTIME_FAILED = 1
const logLineSchema = z.object({ level: z.string(), msg: z.string() })

/** The life of one container: a monitor out here, which is the runtime, and a first process in a pid namespace. */
export async function ociProcess(parts: OciChild): Promise<StartOutcome> {
  const { child, spec, container } = parts
  const [gate] = child.extra
  const selector = { runId: spec.group.runId, generation: spec.group.generation }
  let killed = false

  async function untilEmpty(): Promise<SandboxExit> {
    const { code, signal } = await child.exit
    await killRest()
    const breach = memoryBreach(await parts.cgroup.end(), spec.resources.memory_mb)
    const complaint = code === RUNTIME_FAILED && !killed ? await complaintIn(container.bundle) : null
    // What is left of it are the runtime's notes and groups of no consequence.
    const forget = ['--root', container.states, 'delete', '--force', container.id]
    await runCommand(container.runtime, forget).catch(() => undefined)
    await rm(container.bundle, { recursive: true, force: true }).catch(() => undefined)
    return complaint === null
      ? { code, signal, fault: null, breach }
      : { code: null, signal: null, fault: complaint, breach }
  }

  /**
   * A runtime puts a container into its groups before it runs anything of it, and it is over when the monitor is: with groups there is
   * nothing to search for among all the processes of the host.
   */
  async function killRest(): Promise<void> {
    const { folders } = parts.cgroup
    if (folders.some((folder) => existsSync(folder))) await killNamespaceIn(folders)
    else await killGroup(selector, { timeoutMs: Number.POSITIVE_INFINITY })
  }

  const exited = untilEmpty()
  const process: SandboxProcess = {
    pid: child.pid,
    stdin: createStdinWriter(child.stdin),
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    limits: parts.limits,
    async kill() {
      killed = true
      child.process.kill('SIGKILL')
      await exited
    },
  }

  try {
    await parts.prepare(child.pid)
  } catch (error) {
    await process.kill()
    const words = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', reason: `not put under its limits: ${words}` }
  }
  const opened = await openGate(process, gate ?? null, parts.confirm?.())
  if (opened.kind !== 'started') return opened
  return {
    kind: 'started',
    process: boundFolder(process, {
      folder: spec.workspaceAccess === 'rw' ? spec.workspaceFolder : null,
      bounds: folderBounds(spec.resources),
      processes: processFinder(parts.cgroup, spec.group),
    }),
  }
}

/** Why the runtime gave up, if it was the runtime that did. */
async function complaintIn(bundle: string): Promise<string | null> {
  const text = await readFile(join(bundle, OCI_LOG), 'utf8').catch(() => '')
  const errors = text.split('\n').flatMap((line) => {
    const entry = logLineSchema.safeParse(parseJson(line)).data
    return entry?.level === 'error' ? [entry.msg] : []
  })
  return errors.at(-1) ?? null
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
