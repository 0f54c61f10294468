import { readdirSync } from 'node:fs'
import { type HostProcess, type HostProcessStatus, identifyProcess, readProc, readStatus } from './host-process.ts'
import { parseGroupMarker, type SandboxGroup } from './sandbox-group.ts'
import { isAgentsUser } from './sandbox-user.ts'
import { isScarcity } from './scarcity.ts'

export type GroupSelector =
  /** Every attempt of a run, or those of lower generations. */
  | { readonly runId: string; readonly generationBelow?: number }
  /** One attempt. */
  | { readonly runId: string; readonly generation: number }
  | { readonly sessionId: string }

export type FoundProcess = HostProcess & { readonly group: SandboxGroup }

/** The variable that names the group of a process without a namespace of its own. */
export const GROUP_VARIABLE = 'MUSTER_SANDBOX_GROUP'

/** Below it a sandbox mounts an empty folder named after its group. */
export const GROUP_MOUNTS = '/run/muster'

/**
 * The living processes on this host that stand for sandboxes of the selected groups, whoever started them.
 *
 * Read from /proc rather than from cgroups: that needs no writable hierarchy, which containers seldom have, and no record
 * that a dying worker could fail to write. A candidate is of an agents' user and has one of three marks, or is part of an OCI
 * runtime. The monitor outside a namespace carries its name as argument zero from its first instant. The init of a namespace
 * shares that argument, but an agent of the same user may overwrite its memory, so it is known by a mount point, which nobody
 * in there has the capability to remove. A process without a namespace has a variable, or shares a login session with one that has.
 */
export function findSandboxes(selector: GroupSelector): FoundProcess[] {
  return [...searchSandboxes(selector).found]
}

export type SandboxSearch = {
  readonly found: readonly FoundProcess[]
  /** Candidates between two programs, whose marks could not be read: look again. */
  readonly unsettled: readonly HostProcess[]
}

export function searchSandboxes(selector: GroupSelector): SandboxSearch {
  const found: FoundProcess[] = []
  const unsettled: HostProcess[] = []
  const strangers: { readonly host: HostProcess; readonly session: number }[] = []
  const sessions = new Map<number, SandboxGroup>()
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const status = readStatus(pid)
    if (status === null || status.gone) continue
    if (!isAgentsUser(status.uid)) {
      const group = status.uid === 0 && process.getuid?.() === 0 ? runtimeGroup(pid, status) : null
      const host = group !== null && selects(selector, group) ? identifyProcess(pid) : null
      if (host !== null && group !== null) found.push({ pid, startTime: host.startTime, group })
      continue
    }
    const before = identifyProcess(pid)
    if (before === null) continue
    const host = { pid, startTime: before.startTime }
    const marks = [...marksOf(pid, status)]
    const mark = marks.find(({ group }) => selects(selector, group))
    if (mark !== undefined) {
      found.push({ ...host, group: mark.group })
      if (mark.kind === 'variable') sessions.set(status.session, mark.group)
    } else if (marks.length > 0) {
      strangers.push({ host, session: status.session })
    } else {
      const after = identifyProcess(pid)
      if (after === null) continue
      strangers.push({ host, session: status.session })
      if (before.image === null || after.image !== before.image) unsettled.push(host)
    }
  }
  for (const { host, session } of strangers) {
    const group = sessions.get(session)
    if (group !== undefined) found.push({ ...host, group })
  }
  return { found, unsettled }
}

function selects(selector: GroupSelector, group: SandboxGroup): boolean {
  if ('sessionId' in selector) return selector.sessionId === group.sessionId
  if (selector.runId !== group.runId) return false
  if ('generation' in selector) return selector.generation === group.generation
  return group.generation < (selector.generationBelow ?? Number.POSITIVE_INFINITY)
}

type Mark = { readonly kind: 'argument' | 'mount' | 'variable'; readonly group: SandboxGroup }

/** All that a process is marked with: who has no namespace may choose its argument zero, and so add a mark to its variable's. */
function* marksOf(pid: number, status: HostProcessStatus): Generator<Mark> {
  const mounted = status.depth > 0 ? mountedGroup(pid) : null
  const init = status.depth === 1 && status.innermostPid === 1
  // Whatever else runs inside a sandbox dies with its init and cannot be trusted to name itself.
  if (mounted !== null) {
    if (init) yield { kind: 'mount', group: mounted }
    return
  }
  if (status.depth === 0 || init) {
    const named = parseGroupMarker(readProc(`/proc/${pid}/cmdline`)?.split('\0', 1)[0] ?? '')
    if (named !== null) yield { kind: 'argument', group: named }
  }
  const variable = readProc(`/proc/${pid}/environ`)
    ?.split('\0')
    .find((entry) => entry.startsWith(`${GROUP_VARIABLE}=`))
  const group = parseGroupMarker(variable?.slice(GROUP_VARIABLE.length + 1) ?? '')
  if (group !== null) yield { kind: 'variable', group }
}

/**
 * The sandbox that a process of root stands for: the monitor of an OCI runtime, which has the name of its container as its
 * last argument, or an init that is still being set up. Agents are never root, so that none can pass for these.
 */
function runtimeGroup(pid: number, status: HostProcessStatus): SandboxGroup | null {
  if (status.depth === 1 && status.innermostPid === 1) return mountedGroup(pid)
  if (status.depth > 0) return null
  const words = readProc(`/proc/${pid}/cmdline`)?.split('\0') ?? []
  return parseGroupMarker(words[0] ?? '') ?? parseGroupMarker((words.at(-2) ?? '').replaceAll('+', ':'))
}

function mountedGroup(pid: number): SandboxGroup | null {
  for (const task of tasksOf(pid)) {
    const mounts = readProc(`/proc/${pid}/task/${task}/mountinfo`)
    const name = mounts === null ? null : new RegExp(` ${GROUP_MOUNTS}/(\\S+) `).exec(mounts)?.[1]
    const group = parseGroupMarker(name ?? '')
    if (group !== null) return group
  }
  return null
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch (error) {
    if (isScarcity(error)) throw error
    return []
  }
}
