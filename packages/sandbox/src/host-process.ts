import { closeSync, openSync, readSync } from 'node:fs'
import { isScarcity } from './scarcity.ts'

/** One process as its start identifies it: a number alone is used again, a number with its start time is not. */
export type HostProcess = {
  readonly pid: number
  /** Clock ticks since boot. */
  readonly startTime: string
}

export type HostProcessStatus = {
  /** Real user id. */
  readonly uid: number
  readonly session: number
  readonly gone: boolean
  /** How many pid namespaces below this process' own one it lives, and its number in the innermost. */
  readonly depth: number
  readonly innermostPid: number
}

const CHUNK_BYTES = 65_536
const buffer = Buffer.alloc(CHUNK_BYTES)

/** The start of a /proc file (64 KiB at most), or null when the process is gone or not ours to read. Throws where that cannot be told. */
export function readProc(path: string): string | null {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if (isScarcity(error)) throw error
    return null
  }
  try {
    let length = 0
    while (length < CHUNK_BYTES) {
      const read = readSync(fd, buffer, length, CHUNK_BYTES - length, null)
      if (read === 0) break
      length += read
    }
    return buffer.toString('utf8', 0, length)
  } catch (error) {
    if (isScarcity(error)) throw error
    return null
  } finally {
    closeSync(fd)
  }
}

/** Null when there is no such process. A process name is hidden from parsing: it may hold any text, newlines escaped by the kernel. */
export function readStatus(pid: number): HostProcessStatus | null {
  const text = readProc(`/proc/${pid}/status`)
  if (text === null) return null
  const state = /\nState:\t(\w)/.exec(text)?.[1]
  const uid = /\nUid:\t(\d+)/.exec(text)?.[1]
  const threads = /\nThreads:\t(\d+)/.exec(text)?.[1]
  const pids = /\nNSpid:((?:\t\d+)+)/.exec(text)?.[1]?.split('\t').slice(1).map(Number)
  const session = /\nNSsid:\t(\d+)/.exec(text)?.[1]
  if (state === undefined || uid === undefined || pids === undefined) return null
  return {
    uid: Number(uid),
    session: Number(session ?? 0),
    gone: isDead(state, Number(threads ?? 1)),
    depth: pids.length - 1,
    innermostPid: pids.at(-1) ?? pid,
  }
}

export type IdentifiedProcess = HostProcess & {
  readonly parentPid: number
  /**
   * Where its arguments and environment lie, which differs from program to program; null while it has neither, for an
   * instant on its way into a program or out of life. Marks read at such an instant say nothing.
   */
  readonly image: string | null
}

/** Null when there is no such process; a zombie whose threads have all ended counts as none. */
export function identifyProcess(pid: number): IdentifiedProcess | null {
  const text = readProc(`/proc/${pid}/stat`)
  if (text === null) return null
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, parentPid] = fields
  const startTime = fields[19]
  if (state === undefined || startTime === undefined || isDead(state, Number(fields[17]))) return null
  // The kernel shows 1 here, and nothing of the image, for a process that we may not look into.
  const hidden = fields[23] === '1'
  const image = fields[48] === '0' && !hidden ? null : fields.slice(45, 49).join(' ')
  return { pid, startTime, parentPid: Number(parentPid), image }
}

/** True when that very process runs no more, whatever runs under its number now; false while that cannot be told. */
export function isGone(process: HostProcess): boolean {
  try {
    return !isRunning(process)
  } catch {
    return false
  }
}

const isRunning = ({ pid, startTime }: HostProcess): boolean => identifyProcess(pid)?.startTime === startTime

/** SIGKILLs that very process; false when it is gone already, may not be killed by this user, or cannot be told from another. */
export function killProcess(target: HostProcess): boolean {
  try {
    if (!isRunning(target)) return false
    process.kill(target.pid, 'SIGKILL')
    return true
  } catch {
    return false
  }
}

function isDead(state: string, threads: number): boolean {
  return state === 'X' || (state === 'Z' && threads <= 1)
}
