import { type Dir, lstatSync, opendirSync, type Stats, statfsSync } from 'node:fs'
import { attempt } from './attempt.ts'
import { lookAtHeld } from './held-files.ts'
import type { SandboxPids } from './sandbox-pids.ts'
import { atOnce, type Steps } from './steps.ts'
import { createTally, type Tally } from './tally.ts'

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
  /** The sandbox may hold files where they cannot be seen, as in messages that nobody received yet. */
  readonly unseen: boolean
  /** How many terminals its processes keep from others. */
  readonly terminals: number
  /** Room left on the disk that the folder is on. */
  readonly freeBytes: number
}

const ENTRIES_AT_ONCE = 256
/** As the kernel counts, the NUL at the end included. */
const PATH_BYTES_MAX = 4_096
/** How often folders that changed are looked at again while files go on coming up that were moved there. */
const AGAIN_MAX = 8
/** One character a byte. */
const BYTES = 'latin1'

/**
 * What a folder takes of its disk: the blocks of everything below it, and of files outside of memory that are deleted and
 * still held by a process of the sandbox. Stops as soon as a bound is passed, so that it never takes longer than those on names and
 * held files let it; what vanishes meanwhile counts as nothing, and what is moved counts wherever it was moved to. Names are bytes, since
 * an agent may use some that are no text. The number of a device says nothing: an overlay gives files another than their folder, and an
 * agent may make parts of some disks that have their own. Synchronous: not for the main thread.
 */
export function measureFolder(folder: string, bounds: FolderBounds, processes: SandboxPids): FolderSize {
  return atOnce(measureInSteps(folder, bounds, processes))
}

/** The same, a file at a time. Without a folder only what the processes hold is counted, seen or not. */
export function* measureInSteps(
  folder: string | null,
  bounds: FolderBounds,
  processes: SandboxPids,
): Steps<FolderSize> {
  if (folder === null) {
    const { held, terminals } = yield* lookAtHeld(processes, bounds.held, undefined, null)
    return { ...NOTHING, held, terminals }
  }
  const tally = createTally()
  const { names, tooDeep, settled } = yield* walk(folder, bounds, tally)
  const isWithin = tally.bytes <= bounds.bytes && tally.files <= bounds.files && names <= bounds.names && !tooDeep
  const device = attempt(() => lstatSync(folder))?.dev
  // After the walk, which an agent can see begin: what it starts then is looked at too.
  const { held, unseen, terminals } = isWithin
    ? yield* lookAtHeld(processes, bounds.held, device, (found) => void tally.add(found))
    : NOTHING
  const { bfree, bsize } = statfsSync(folder)
  return {
    bytes: tally.bytes,
    files: tally.files,
    names,
    held,
    tooDeep,
    unseen: unseen || !settled,
    terminals,
    freeBytes: bfree * bsize,
  }
}

const NOTHING: FolderSize = {
  bytes: 0,
  files: 0,
  names: 0,
  held: 0,
  tooDeep: false,
  unseen: false,
  terminals: 0,
  freeBytes: 0,
}

/** `settled` unless files went on coming up that were moved to where was looked already. */
type Walk = { readonly names: number; readonly tooDeep: boolean; readonly settled: boolean }
/** Known by its own name only: a folder may have hundreds of thousands, and each of them a path of 4096 bytes. */
type Folder = { readonly parent: Folder | null; readonly name: string; readonly changedMs: number }

function* walk(folder: string, bounds: FolderBounds, tally: Tally): Steps<Walk> {
  const begunMs = Date.now()
  const walked = new Map<string, Folder>()
  const waiting: Folder[] = []
  let names = 0
  let tooDeep = false
  let moved = false
  let left = Number.POSITIVE_INFINITY
  const isWithin = () => tally.bytes <= bounds.bytes && tally.files <= bounds.files && names <= bounds.names && !tooDeep

  /** Looks into a folder unless it is as it was. */
  function lookInto(parent: Folder | null, name: string, found: Stats): void {
    const identity = Number.isSafeInteger(found.ino)
      ? `${found.dev}/${found.ino}`
      : pathOf({ parent, name, changedMs: 0 })
    if (walked.get(identity)?.changedMs === found.ctimeMs) return
    const one = { parent, name, changedMs: found.ctimeMs }
    walked.set(identity, one)
    waiting.push(one)
  }

  function* take(count: (parent: Folder, name: string, found: Stats | null) => void): Steps<void> {
    for (let at = waiting.pop(); at !== undefined && left > 0 && isWithin(); at = waiting.pop()) {
      yield
      const here = pathOf(at)
      const listing = attempt(() => opendirSync(bytesOf(here), { bufferSize: ENTRIES_AT_ONCE, encoding: BYTES }))
      if (listing === null) continue
      try {
        for (let entry = read(listing); entry !== null && left > 0 && isWithin(); entry = read(listing)) {
          yield
          left -= 1
          const path = bytesOf(`${here}/${entry.name}`)
          tooDeep ||= path.length >= PATH_BYTES_MAX
          count(at, entry.name, tooDeep ? null : attempt(() => lstatSync(path)))
        }
      } finally {
        // Also where the rest is given up.
        listing.closeSync()
      }
    }
  }

  const first = attempt(() => lstatSync(folder))
  if (first !== null) lookInto(null, Buffer.from(folder).toString(BYTES), first)
  yield* take((parent, name, found) => {
    names += 1
    if (found === null) return
    tally.add(found)
    if (found.isDirectory()) lookInto(parent, name, found)
  })
  // What was moved into a folder after it was read is found there: the kernel notes the change, and no agent can take that back. What was
  // made since counts the next time. No more is read again than may have been there.
  left = bounds.names
  for (let again = 0; again < AGAIN_MAX && left > 0 && isWithin() && (again === 0 || moved); again += 1) {
    moved = false
    for (const { parent, name } of [...walked.values()]) {
      yield
      const now = attempt(() => lstatSync(bytesOf(pathOf({ parent, name, changedMs: 0 }))))
      if (now?.isDirectory()) lookInto(parent, name, now)
      yield* take((above, below, found) => {
        if (found?.isDirectory()) lookInto(above, below, found)
        if (found === null || found.birthtimeMs >= begunMs || tally.has(found)) return
        moved = true
        names += 1
        tally.add(found)
      })
    }
  }
  return { names, tooDeep, settled: !moved && left > 0 }
}

function pathOf({ parent, name }: Folder): string {
  const parts = [name]
  for (let above = parent; above !== null; above = above.parent) parts.push(above.name)
  return parts.reverse().join('/')
}

const bytesOf = (path: string): Buffer => Buffer.from(path, BYTES)

const read = (listing: Dir) => attempt(() => listing.readSync())
