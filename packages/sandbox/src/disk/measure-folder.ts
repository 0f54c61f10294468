import { type Dir, lstatSync, opendirSync, readdirSync, readlinkSync, type Stats, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasUnaccepted, hasUnreceived, listenersTell } from './in-flight.ts'

export type FolderBounds = {
  readonly bytes: number
  /** Those of several names count once. */
  readonly files: number
  readonly names: number
  /** How many files all processes of the sandbox hold open or in their memory, each as often as it is held. */
  readonly held: number
}
export type FolderSize = FolderBounds & {
  /** Something lies at the end of a path longer than the kernel takes, where it cannot be measured. */
  readonly tooDeep: boolean
  /** A process of the sandbox was sent descriptors that nobody received yet: what is held by these alone cannot be seen. */
  readonly inFlight: boolean
  /** Room left on the disk that the folder is on. */
  readonly freeBytes: number
}
/** The processes of a sandbox: by their numbers, or as all of the pid namespace that one of them is in. */
export type SandboxPids = { readonly pids: readonly number[] } | { readonly namespaceOf: number }

const BLOCK_BYTES = 512
const ENTRIES_AT_ONCE = 256
/** As the kernel counts, the NUL at the end included. */
const PATH_BYTES_MAX = 4_096
/** One character a byte. */
const BYTES = 'latin1'
const SLASH = Buffer.from('/')
const ROOT = 0
const DELETED = / \(deleted\)$/
const SOCKET = /^socket:/
/** The kinds of file system (tmpfs, ramfs, hugetlbfs) whose files lie in memory and count as such. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x0102_1994, 0x8584_58f6, 0x9584_58f6])

/**
 * What a folder takes of its disk: the blocks of everything below it, and of files outside of memory that are deleted and
 * still held by a process of the sandbox. Stops as soon as a bound is passed, so that it never takes longer than those on names and
 * held files let it; what vanishes meanwhile counts as nothing. Names are bytes, since an agent may use some that are no text. The number of a
 * device says nothing: an overlay gives files another than their folder, and an agent may make parts of some disks that have their own.
 * Synchronous: not for the main thread.
 */
export function measureFolder(folder: string, bounds: FolderBounds, processes: SandboxPids): FolderSize {
  const linked = new Set<string>()
  let bytes = 0
  let files = 0
  let names = 0
  let held = 0
  let tooDeep = false
  let inFlight = false
  const isWithin = () =>
    bytes <= bounds.bytes && files <= bounds.files && names <= bounds.names && held <= bounds.held && !tooDeep

  function add(found: Stats): void {
    if (found.nlink > 1 && !found.isDirectory()) {
      const identity = `${found.dev}/${found.ino}`
      if (linked.has(identity)) return
      linked.add(identity)
    }
    bytes += found.blocks * BLOCK_BYTES
    files += 1
  }

  const device = attempt(() => lstatSync(folder))?.dev
  const waiting = [Buffer.from(folder)]
  for (let at = waiting.pop(); at !== undefined && isWithin(); at = waiting.pop()) {
    const here = at
    const listing = attempt(() => opendirSync(here, { bufferSize: ENTRIES_AT_ONCE, encoding: BYTES }))
    if (listing === null) continue
    for (let entry = read(listing); entry !== null && isWithin(); entry = read(listing)) {
      const path = Buffer.concat([here, SLASH, Buffer.from(entry.name, BYTES)])
      names += 1
      tooDeep ||= path.length >= PATH_BYTES_MAX
      const found = tooDeep ? null : attempt(() => lstatSync(path))
      if (found === null) continue
      add(found)
      if (found.isDirectory()) waiting.push(path)
    }
    listing.closeSync()
  }
  for (const [index, pid] of pidsOf(processes).entries()) {
    if (index === 0 && !listenersTell()) inFlight = hasUnaccepted(pid)
    const paths = heldFiles(pid)
    held += paths.length
    if (!isWithin()) break
    for (const path of paths) {
      const target = attempt(() => readlinkSync(path)) ?? ''
      inFlight ||= SOCKET.test(target) && hasUnreceived(path)
      if (!DELETED.test(target)) continue
      const found = attempt(() => statSync(path))
      // What root owns is the host's: a program of its that was replaced meanwhile.
      if (found?.nlink !== 0 || found.uid === ROOT || (found.dev !== device && isInMemory(path))) continue
      const identity = `${found.dev}/${found.ino}`
      if (linked.has(identity)) continue
      linked.add(identity)
      add(found)
    }
  }
  const { bfree, bsize } = statfsSync(folder)
  return { bytes, files, names, held, tooDeep, inFlight, freeBytes: bfree * bsize }
}

function pidsOf(processes: SandboxPids): readonly number[] {
  if ('pids' in processes) return processes.pids
  const namespaceOf = (pid: number) => attempt(() => readlinkSync(`/proc/${pid}/ns/pid`))
  const wanted = namespaceOf(processes.namespaceOf)
  if (wanted === null || wanted === namespaceOf(process.pid)) return []
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && namespaceOf(pid) === wanted)
}

/** The files that a process holds open or has in its memory. Where its first thread has ended, the others still have them. */
function heldFiles(pid: number): string[] {
  const held = heldBy(pid)
  if (held.length > 0) return held
  for (const thread of attempt(() => readdirSync(`/proc/${pid}/task`)) ?? []) {
    const others = heldBy(Number(thread))
    if (others.length > 0) return others
  }
  return []
}

function heldBy(pid: number): string[] {
  return ['fd', 'map_files'].flatMap((kind) => {
    const folder = `/proc/${pid}/${kind}`
    return (attempt(() => readdirSync(folder)) ?? []).map((name) => join(folder, name))
  })
}

function isInMemory(path: string): boolean {
  const found = attempt(() => statfsSync(path))
  return found !== null && IN_MEMORY.has(found.type >>> 0)
}

const read = (listing: Dir) => attempt(() => listing.readSync())

function attempt<T>(call: () => T): T | null {
  try {
    return call()
  } catch {
    return null
  }
}
