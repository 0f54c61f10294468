import type { Resources } from '@muster/contracts'
import type { LimitBreach, SandboxProcess } from '../sandbox.ts'
import { meterFolder } from './folder-meter.ts'
import { heldBytes } from './held-bytes.ts'
import type { FolderBounds, FolderSize } from './measure-folder.ts'
import type { SandboxPids } from './sandbox-pids.ts'

export type FolderBound = {
  readonly folder: string
  readonly bounds: FolderBounds
  /** The processes of the sandbox, for what they deleted and still hold. */
  readonly processes: () => SandboxPids
  /** Default 1000. */
  readonly everyMs?: number
}

const EVERY_MS = 1_000
const MIB = 1024 * 1024
const FILES_PER_MB = 64
const FILES_MIN = 4_096
const NAMES_PER_FILE = 4
const HELD_MIN = 65_536
const HELD_PER_PROCESS = 64
const HELD_MAX = 262_144
/** A measure that fails so often in a row says that the limit is not held. */
const FAILURES_MAX = 5

/**
 * How much a session's folder may hold: so many MiB, and 64 files (4096 at least) for each of them, with four names each. And how many
 * files its processes may hold, 65,536 and 64 for each process (262,144 at most): far more than programs do, and few enough to look at all of them.
 */
export function folderBounds({ disk_mb, pids }: Resources): FolderBounds {
  const files = Math.max(FILES_MIN, disk_mb * FILES_PER_MB)
  return {
    bytes: disk_mb * MIB,
    files,
    names: files * NAMES_PER_FILE,
    held: Math.min(HELD_MAX, HELD_MIN + pids * HELD_PER_PROCESS),
  }
}

/**
 * Measures a folder now, each second that the sandbox lives and after a failure, and kills the sandbox once it holds more than it may. A
 * large folder is measured less often than it takes to measure, so that the thread keeps up with all of them.
 */
export function boundFolder(process: SandboxProcess, bound: FolderBound): SandboxProcess {
  const everyMs = bound.everyMs ?? EVERY_MS
  const bytesOf = heldBytes()
  let breach: LimitBreach | null = null
  let ended = false
  let killed = false
  let failures = 0
  let timer: NodeJS.Timeout | null = null

  async function measure(): Promise<LimitBreach | null> {
    try {
      const size = await meterFolder(bound.folder, bound.bounds, bound.processes())
      failures = 0
      return breachOf(size, bytesOf(size), bound.bounds)
    } catch (error) {
      failures += 1
      const words = error instanceof Error ? error.message : String(error)
      return failures < FAILURES_MAX ? null : { resource: 'disk', detail: `its folder cannot be measured: ${words}` }
    }
  }

  async function look(): Promise<void> {
    const begun = performance.now()
    const found = await measure()
    if (ended) return
    breach = found
    if (breach !== null) await process.kill()
    else timer = setTimeout(() => void look(), Math.max(everyMs, performance.now() - begun))
  }

  const exited = process.exited.then(async (exit) => {
    ended = true
    if (timer !== null) clearTimeout(timer)
    // What failed by itself may have failed for want of room.
    if (breach === null && !killed && exit.code !== 0 && exit.fault === null) breach = await measure()
    return { ...exit, breach: breach ?? exit.breach }
  })
  void look()
  return {
    ...process,
    exited,
    kill() {
      killed = true
      return process.kill()
    },
  }
}

function breachOf(size: FolderSize, bytes: number, bounds: FolderBounds): LimitBreach | null {
  if (size.tooDeep) return { resource: 'disk', detail: 'its workspace is nested too deeply to be measured' }
  if (size.held > bounds.held) {
    return {
      resource: 'disk',
      detail: `its processes hold more than ${bounds.held} files open, too many to be measured`,
    }
  }
  if (size.bytes > bounds.bytes) {
    return { resource: 'disk', detail: `its workspace holds more than the limit of ${bounds.bytes / MIB} MiB` }
  }
  if (bytes > bounds.bytes) {
    return {
      resource: 'disk',
      detail: `with files that cannot be seen, as in messages that nobody received, it may hold more than the limit of ${bounds.bytes / MIB} MiB`,
    }
  }
  if (size.names > bounds.names) {
    return { resource: 'disk', detail: `its workspace gives its files more than the limit of ${bounds.names} names` }
  }
  if (size.files > bounds.files) {
    return { resource: 'disk', detail: `its workspace holds more than the limit of ${bounds.files} files` }
  }
  return null
}
