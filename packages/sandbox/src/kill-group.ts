import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { type GroupSelector, type SandboxSearch, searchSandboxes } from './find-sandboxes.ts'
import { type HostProcess, isGone, killProcess } from './host-process.ts'
import { isScarcity } from './scarcity.ts'

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
    const search = lookFor(selector)
    if (search === null) {
      if (performance.now() > deadline) return { kind: 'alive', pids: [] }
      await delay(BLIND_MS)
      continue
    }
    const { found, unsettled } = search
    for (const one of found) if (killProcess(one)) killed.add(`${one.pid}/${one.startTime}`)
    const left = await untilGone(found, deadline)
    if (left.length > 0) return { kind: 'alive', pids: left.map((one) => one.pid) }
    const patient = performance.now() < Math.min(deadline, begun + SETTLE_MS)
    if (found.length === 0 && (unsettled.length === 0 || !patient)) return { kind: 'gone', killed: killed.size }
    if (performance.now() > deadline) return { kind: 'alive', pids: found.map((one) => one.pid) }
    if (found.length === 0) await nextTurn()
  }
}

/** Null when this process has no means to look. */
function lookFor(selector: GroupSelector): SandboxSearch | null {
  try {
    return searchSandboxes(selector)
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
  let left = targets.filter((one) => !isGone(one))
  for (let turn = 0; left.length > 0 && performance.now() < deadline; turn += 1) {
    for (const one of left) killProcess(one)
    await (turn < 8 ? nextTurn() : delay(Math.min(turn - 7, 20)))
    left = left.filter((one) => !isGone(one))
  }
  return left
}
