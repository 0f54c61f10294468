import type { Resources } from '@muster/contracts'
import type { LimitBreach, SandboxProcess } from '../sandbox.ts'
import { meterFolder } from './folder-meter.ts'
import { heldBytes } from './held-bytes.ts'
import type { FolderBounds, FolderSize } from './measure-folder.ts'
import type { SandboxPids } from './sandbox-pids.ts'

export type FolderBound = {
  /** Null where the sandbox may write none: then only what its processes hold is bounded, which any could take from the whole host. */
  readonly folder: string | null
  readonly bounds: FolderBounds
  /** The processes of the sandbox, for what they deleted and still hold. */
  readonly processes: () => SandboxPids | Promise<SandboxPids>
  /** Default 1000. */
  readonly everyMs?: number
}

const EVERY_MS = 1_000
const MIB = 1024 * 1024
const FILES_PER_MB = 64
const FILES_MIN = 4_096
const NAMES_PER_FILE = 4
/** Whatever the limit in MiB: what takes seconds to walk through is seen too late, and its tally lies in memory. */
const NAMES_MAX = 500_000
const HELD_MIN = 16_384
const HELD_PER_PROCESS = 64
const HELD_MAX = 262_144
/** A measure that fails so often in a row says that the limit is not held. */
const FAILURES_MAX = 5
/** A machine has a few thousand for all that runs on it. */
const TERMINALS_MAX = 64
/** How long the end of a sandbox waits to hear whether it had room. */
const LAST_LOOK_MS = 2_000

/**
 * How much a session's folder may hold: so many MiB, and 64 files (4096 at least) for each of them, with four names each, half a million
 * of either at most. And how many files its processes may hold, 16,384 and 64 for each process (262,144 at most): far more than programs
 * do, and few enough to look at all of them.
 */
export function folderBounds({ disk_mb, pids }: Resources): FolderBounds {
  const files = Math.min(NAMES_MAX, Math.max(FILES_MIN, disk_mb * FILES_PER_MB))
  return {
    bytes: disk_mb * MIB,
    files,
    names: Math.min(NAMES_MAX, files * NAMES_PER_FILE),
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
  const living = new AbortController()
  let breach: LimitBreach | null = null
  let killed = false
  let failures = 0
  let timer: NodeJS.Timeout | null = null

  async function measure(signal: AbortSignal): Promise<LimitBreach | null> {
    try {
      const { folder, bounds } = bound
      const size = await meterFolder({ folder, bounds, processes: await bound.processes() }, signal)
      failures = 0
      return breachOf(size, bytesOf(size), bounds)
    } catch (error) {
      if (signal.aborted) return null
      failures += 1
      const words = error instanceof Error ? error.message : String(error)
      return bound.folder === null || failures < FAILURES_MAX
        ? null
        : { resource: 'disk', detail: `its folder cannot be measured: ${words}` }
    }
  }

  async function look(): Promise<void> {
    const begun = performance.now()
    const found = await measure(living.signal)
    if (living.signal.aborted) return
    breach = found
    if (breach !== null) await process.kill()
    else timer = setTimeout(() => void look(), Math.max(everyMs, performance.now() - begun))
  }

  /** What failed by itself may have failed for want of room. */
  async function lookOnceMore(): Promise<LimitBreach | null> {
    const patience = new AbortController()
    const over = Promise.withResolvers<null>()
    const wait = setTimeout(() => {
      patience.abort()
      over.resolve(null)
    }, LAST_LOOK_MS)
    return await Promise.race([measure(patience.signal), over.promise]).finally(() => clearTimeout(wait))
  }

  const exited = process.exited.then(async (exit) => {
    living.abort()
    if (timer !== null) clearTimeout(timer)
    const mayLackRoom = bound.folder !== null && breach === null && !killed && exit.code !== 0 && exit.fault === null
    if (mayLackRoom) breach = await lookOnceMore()
    return { ...exit, breach: breach ?? exit.breach }
  })
  if (bound.folder === null) timer = setTimeout(() => void look(), everyMs)
  else void look()
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
  if (size.terminals > TERMINALS_MAX) {
    return {
      resource: 'disk',
      detail: `its processes hold more than ${TERMINALS_MAX} terminals open, of which a machine has few for all`,
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
  if (size.files > bounds.files) {
    return { resource: 'disk', detail: `its workspace holds more than the limit of ${bounds.files} files` }
  }
  if (size.names > bounds.names) {
    return { resource: 'disk', detail: `its workspace gives its files more than the limit of ${bounds.names} names` }
  }
  return null
}
