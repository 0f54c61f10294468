import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { inSlices, type Steps } from './disk/steps.ts'
import { type GroupSelector, type SandboxSearch, searchSandboxes } from './find-sandboxes.ts'
import { type HostProcess, identifyProcess, isGone, killProcess, readStatus } from './host-process.ts'
import { isScarcity, patiently } from './scarcity.ts'

export type KillGroupOutcome =
  | { readonly kind: 'gone'; readonly killed: number }
  /** For `timeoutMs` something outlived SIGKILL, not ours to kill or stuck in the kernel, or nobody could be looked for. */
  | { readonly kind: 'alive'; readonly pids: readonly number[] }

export type KillGroupOptions = {
  /** Default 5000. */
  readonly timeoutMs?: number
}

/** A process is between two programs for microseconds; longer only if it is stuck, and then it is not starting. */
const SETTLE_MS = 1_000
/** How long to wait for descriptors. */
const BLIND_MS = 20

/**
 * SIGKILLs what is left on this host of the selected sandboxes, whoever started them and whatever state that worker is in,
 * and answers `gone` only once a search made after the last death finds nothing. Sees the own pid namespace only: ask
 * `hostIdentity` whether that is enough.
 */
export async function killGroup(selector: GroupSelector, options: KillGroupOptions = {}): Promise<KillGroupOutcome> {
  const begun = performance.now()
  const deadline = begun + (options.timeoutMs ?? 5_000)
  const killed = new Set<string>()
  for (;;) {
    const search = await lookFor(selector)
    if (search === null) {
      if (performance.now() > deadline) return { kind: 'alive', pids: [] }
      await delay(BLIND_MS)
      continue
    }
    const { found, unsettled } = search
    for (const one of await inSlices(killEach(found))) killed.add(`${one.pid}/${one.startTime}`)
    const left = await untilGone(found, deadline)
    if (left.length > 0) return { kind: 'alive', pids: left.map((one) => one.pid) }
    const patient = performance.now() < Math.min(deadline, begun + SETTLE_MS)
    if (found.length === 0 && (unsettled.length === 0 || !patient)) return { kind: 'gone', killed: killed.size }
    if (performance.now() > deadline) return { kind: 'alive', pids: found.map((one) => one.pid) }
    if (found.length === 0) await nextTurn()
  }
}

/** Null when this process has no means to look. */
async function lookFor(selector: GroupSelector): Promise<SandboxSearch | null> {
  try {
    return await searchSandboxes(selector)
  } catch (error) {
    if (isScarcity(error)) return null
    throw error
  }
}

/**
 * Kills processes until they are gone; answers those still alive at the deadline (of the monotonic clock, in ms). The init
 * of a pid namespace is gone only after everything in the namespace is.
 */
export async function untilGone(targets: readonly HostProcess[], deadline: number): Promise<readonly HostProcess[]> {
  let left = await inSlices(livingAmong(targets))
  for (let turn = 0; left.length > 0 && performance.now() < deadline; turn += 1) {
    await inSlices(killEach(left))
    await (turn < 8 ? nextTurn() : delay(Math.min(turn - 7, 20)))
    left = await inSlices(livingAmong(left))
  }
  return left
}

/** Those that there was something of to kill. */
function* killEach<T extends HostProcess>(targets: readonly T[]): Steps<readonly T[]> {
  const killed: T[] = []
  for (const one of targets) {
    yield
    if (killProcess(one)) killed.push(one)
  }
  return killed
}

function* livingAmong(targets: readonly HostProcess[]): Steps<readonly HostProcess[]> {
  const left: HostProcess[] = []
  for (const one of targets) {
    yield
    if (!isGone(one)) left.push(one)
  }
  return left
}

/**
 * Kills the init of the pid namespace that an attempt has in its control groups, and waits until it is gone and so all in there,
 * however much that is. What else is in those groups, as a runtime that was just setting up, is left to the end of the groups, and so is
 * all where it cannot be read.
 */
export async function killNamespaceIn(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    // In another thread: the kernel lists a large group slowly, the more so while it dies.
    const listed = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '')
    for (const pid of listed.split('\n').map(Number).filter(Boolean)) {
      await nextTurn()
      const init = await patiently(() => initAt(pid))
      if (init === null) continue
      await untilGone([init], Number.POSITIVE_INFINITY)
      return
    }
  }
}

function initAt(pid: number): HostProcess | null {
  const status = readStatus(pid)
  return status?.depth === 1 && status.innermostPid === 1 ? identifyProcess(pid) : null
}
