import { readdirSync, readlinkSync, type Stats, statfsSync, statSync } from 'node:fs'
import { attempt } from './attempt.ts'
import { hasUnaccepted, hasUnreceived, listenersTell, namedInNetwork } from './in-flight.ts'
import { pidsOf, type SandboxPids, sharesNetwork } from './sandbox-pids.ts'
import type { Steps } from './steps.ts'
import { terminalOf } from './terminals.ts'

export type HeldFiles = {
  /** How many files all processes of the sandbox hold, each as often as it is held. */
  readonly held: number
  /** More may be held where it cannot be seen: in messages that nobody received, or by processes that came faster than they could be looked at. */
  readonly unseen: boolean
  /** How many terminals they keep from others. */
  readonly terminals: number
}

/** An agent that hands its files from child to child, each there for an instant, is looked at so often. */
const ROUNDS_MAX = 32
const ROOT = 0
const DELETED = / \(deleted\)$/
const SOCKET = /^socket:\[(\d+)\]$/
/** The kinds of file system (tmpfs, ramfs, hugetlbfs) whose files lie in memory and count as such. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x0102_1994, 0x8584_58f6, 0x9584_58f6])

/**
 * Looks at what the processes of a sandbox hold, until there is none that was not looked at, and tells of each file outside of memory
 * that is deleted. Stops past `heldMax` files. `device` is the one of the sandbox's folder, which is not in memory whatever it says.
 * With `onDeleted` null, what is held is counted and no more: nothing is `unseen` then.
 */
export function* lookAtHeld(
  processes: SandboxPids,
  heldMax: number,
  device: number | undefined,
  onDeleted: ((found: Stats) => void) | null,
): Steps<HeldFiles> {
  const heldBy = new Map<number, number>()
  const terminals = new Set<string>()
  const finish = (unseen: boolean): HeldFiles => ({ held: most, unseen, terminals: terminals.size })
  let named: ReadonlySet<string> | null = null
  let unseen = false
  let most = 0
  let looked = 0

  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const pids = pidsOf(processes)
    let held = pids.reduce((sum, pid) => sum + (heldBy.get(pid) ?? 0), 0)
    const fresh = pids.filter((pid) => !heldBy.has(pid))
    if (fresh.length === 0) return finish(unseen)
    for (const pid of fresh) {
      yield
      const paths = heldFiles(pid)
      heldBy.set(pid, paths.length)
      held += paths.length
      most = Math.max(most, held)
      looked += paths.length
      if (most > heldMax || looked > 2 * heldMax) return finish(true)
      const shared = onDeleted !== null && sharesNetwork(pid)
      if (onDeleted !== null && round === 0 && !unseen && !shared && !listenersTell()) unseen = hasUnaccepted(pid)
      for (const path of paths) {
        yield
        const target = attempt(() => readlinkSync(path))
        const terminal = target === null ? null : terminalOf(path, target)
        if (terminal !== null) terminals.add(terminal)
        if (onDeleted === null) continue
        const socket = target === null ? undefined : SOCKET.exec(target)?.[1]
        if (socket !== undefined && !unseen && hasUnreceived(path)) {
          // In a network that it shares anybody may have sent to a socket that has a name there.
          if (shared) named ??= namedInNetwork(pid)
          unseen = !shared || named?.has(socket) !== true
        }
        // What a path that is too long leads to cannot be read, and is looked at.
        if (target === null || DELETED.test(target)) reportDeleted(path, device, onDeleted)
      }
    }
  }
  return finish(true)
}

function reportDeleted(path: string, device: number | undefined, onDeleted: (found: Stats) => void): void {
  const found = attempt(() => statSync(path))
  // What root owns is the host's: a program of its that was replaced meanwhile.
  if (found?.nlink !== 0 || found.uid === ROOT || (found.dev !== device && isInMemory(path))) return
  onDeleted(found)
}

/** What a process holds open, has in its memory, runs and stands in. Where its first thread has ended, the others still have it. */
function heldFiles(pid: number): string[] {
  if (isAlive(pid)) return heldByTask(pid)
  const threads = attempt(() => readdirSync(`/proc/${pid}/task`)) ?? []
  const other = threads.map(Number).find(isAlive)
  return other === undefined ? [] : heldByTask(other)
}

function heldByTask(task: number): string[] {
  const listed = ['fd', 'map_files'].flatMap((kind) => {
    const folder = `/proc/${task}/${kind}`
    return (attempt(() => readdirSync(folder)) ?? []).map((name) => `${folder}/${name}`)
  })
  return [...listed, ...['exe', 'cwd', 'root'].map((name) => `/proc/${task}/${name}`)]
}

/** A thread that has ended stands nowhere. */
const isAlive = (task: number): boolean => attempt(() => statSync(`/proc/${task}/cwd`)) !== null

function isInMemory(path: string): boolean {
  const found = attempt(() => statfsSync(path))
  return found !== null && IN_MEMORY.has(found.type >>> 0)
}
