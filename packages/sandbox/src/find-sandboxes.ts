import { readdirSync } from 'node:fs'
import { namespaceOf } from './disk/sandbox-pids.ts'
import { atOnce, inSlices, type Steps } from './disk/steps.ts'
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
  return [...atOnce(searchSteps(selector)).found]
}

export type SandboxSearch = {
  readonly found: readonly FoundProcess[]
  /** Candidates between two programs, whose marks could not be read: look again. */
  readonly unsettled: readonly HostProcess[]
}

/** The same for who goes on from what it found, in slices: a host may have many thousands of processes, and an agent make them. */
export function searchSandboxes(selector: GroupSelector): Promise<SandboxSearch> {
  return inSlices(searchSteps(selector))
}

/** How often a search looks at what came while it looked, which is little each time. */
const ROUNDS_MAX = 8

/** Of all in the pid namespace of a sandbox only the init is looked into: the rest dies with it, and may be any number. */
function* searchSteps(selector: GroupSelector): Steps<SandboxSearch> {
  const view = createView(selector)
  const own = namespaceOf('pid', process.pid)
  const sealed = new Set<string>()
  const seen = new Set<number>([process.pid])
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const fresh = processNumbers().filter((pid) => !seen.has(pid))
    const spaces = new Map<string, number[]>()
    for (const pid of fresh) {
      yield
      seen.add(pid)
      const space = namespaceOf('pid', pid)
      if (space === null || space === own) view.look(pid)
      else if (!sealed.has(space)) {
        const pids = spaces.get(space) ?? []
        pids.push(pid)
        spaces.set(space, pids)
      }
    }
    for (const [space, pids] of spaces) {
      const init = yield* initAmong(pids)
      if (init !== null && view.look(init) === 'sandbox') sealed.add(space)
      if (sealed.has(space)) continue
      for (const pid of pids) {
        yield
        if (pid !== init) view.look(pid)
      }
    }
    if (fresh.length === 0) break
  }
  return view.result()
}

const processNumbers = (): number[] => readdirSync('/proc').map(Number).filter(Number.isInteger)

const isInit = ({ depth, innermostPid }: HostProcessStatus): boolean => depth === 1 && innermostPid === 1

/** The first process of a namespace right below our own, if it is among these; it mostly has the lowest number. */
function* initAmong(pids: readonly number[]): Steps<number | null> {
  for (const pid of pids) {
    yield
    const status = readStatus(pid)
    if (status !== null && !status.gone && isInit(status)) return pid
  }
  return null
}

type View = {
  /** Takes note of one process; tells the init of a sandbox, known by its mount, from all else. */
  look(pid: number): 'sandbox' | 'other'
  result(): SandboxSearch
}

function createView(selector: GroupSelector): View {
  const found: FoundProcess[] = []
  const unsettled: HostProcess[] = []
  const strangers: { readonly host: HostProcess; readonly session: number }[] = []
  const sessions = new Map<number, SandboxGroup>()

  function lookAtOthers(pid: number, status: HostProcessStatus): 'sandbox' | 'other' {
    const group = status.uid === 0 && process.getuid?.() === 0 ? runtimeGroup(pid, status) : null
    if (group === null) return 'other'
    const host = selects(selector, group) ? identifyProcess(pid) : null
    if (host !== null) found.push({ pid, startTime: host.startTime, group })
    return isInit(status) ? 'sandbox' : 'other'
  }

  function lookAtAgents(pid: number, status: HostProcessStatus): 'sandbox' | 'other' {
    const before = identifyProcess(pid)
    if (before === null) return 'other'
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
      if (after === null) return 'other'
      strangers.push({ host, session: status.session })
      if (before.image === null || after.image !== before.image) unsettled.push(host)
    }
    return marks.some(({ kind }) => kind === 'mount') ? 'sandbox' : 'other'
  }

  return {
    look(pid) {
      const status = readStatus(pid)
      if (status === null || status.gone) return 'other'
      return isAgentsUser(status.uid) ? lookAtAgents(pid, status) : lookAtOthers(pid, status)
    },
    result() {
      const related = strangers.flatMap(({ host, session }) => {
        const group = sessions.get(session)
        return group === undefined ? [] : [{ ...host, group }]
      })
      return { found: [...found, ...related], unsettled }
    },
  }
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
  const init = isInit(status)
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
  if (isInit(status)) return mountedGroup(pid)
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
