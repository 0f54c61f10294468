import { createHash, randomUUID } from 'node:crypto'
import { chmod, mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, normalize } from 'node:path'

export type HeldFolder = {
  readonly folder: string
  /** Sees to it that the folder is there and counts as used. Call before each sandbox that is shown it. */
  keep(): Promise<void>
}

export type FileCache = {
  /**
   * A folder that holds exactly these files (relative path -> content), readable by everyone and never written again. The
   * same content gives the same folder, in every process that shares the root.
   */
  folderOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<string>
  /** The same for files that are shown for as long as a worker lives, however long that is. */
  hold(files: Readonly<Record<string, string | Uint8Array>>): Promise<HeldFolder>
  /** Deletes folders that nobody asked for in `unusedMs`, each whole or not at all; answers how many. Keep it above the longest attempt. */
  prune(unusedMs: number): Promise<number>
}

/** Agents pass to what they are shown, and cannot list what others were. */
const BASE_MODE = 0o711
const FOLDER_MODE = 0o755
const FILE_MODE = 0o644
const TOUCH_MS = 600_000

/**
 * Keeps files apart from any session, so that a sandbox starts with one read-only bind instead of writing them again. A
 * folder appears by one rename, complete or not at all; its name is the hash of its content, so it cannot be stale.
 */
export function createFileCache(root: string): FileCache {
  const base = join(root, 'files')
  const touched = new Map<string, number>()
  let closed: Promise<void> | null = null

  async function isThere(folder: string): Promise<boolean> {
    try {
      await stat(folder)
    } catch {
      return false
    }
    const now = Date.now()
    if (Math.abs(now - (touched.get(folder) ?? 0)) > TOUCH_MS) {
      await utimes(folder, now / 1000, now / 1000).catch(() => undefined)
      touched.set(folder, now)
    }
    return true
  }

  /** Before anything is in it, and one that an older worker left open too. */
  function closeBase(): Promise<void> {
    closed ??= mkdir(base, { recursive: true, mode: FOLDER_MODE })
      .then(() => chmod(base, BASE_MODE))
      // One that is another user's is that one's to close; one that cannot be made fails what needs it.
      .catch(() => undefined)
    return closed
  }

  async function folderOf(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
    return (await hold(files)).folder
  }

  async function hold(files: Readonly<Record<string, string | Uint8Array>>): Promise<HeldFolder> {
    await closeBase()
    const entries = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))
    const folder = join(base, hashOf(entries))
    const keep = async () => {
      if (!(await isThere(folder))) await make(folder, entries)
    }
    await keep()
    return { folder, keep }
  }

  async function make(folder: string, entries: readonly Entry[]): Promise<void> {
    const draft = join(base, `.draft-${randomUUID()}`)
    await mkdir(draft, { recursive: true, mode: FOLDER_MODE })
    try {
      for (const [path, content] of entries) await writeBelow(draft, path, content)
      await rename(draft, folder)
    } catch (error) {
      await rm(draft, { recursive: true, force: true })
      if (!(await isThere(folder))) throw error
    }
  }

  async function prune(unusedMs: number): Promise<number> {
    let pruned = 0
    for (const name of await readdir(base).catch(() => [])) {
      const folder = join(base, name)
      const age = await stat(folder).then(
        (found) => Date.now() - found.mtimeMs,
        () => 0,
      )
      if (age <= unusedMs) continue
      touched.delete(folder)
      // What is half deleted must not pass for a whole folder, not even after a crash.
      const gone = join(base, `.pruned-${randomUUID()}`)
      const removed = await rename(folder, gone)
        .then(() => rm(gone, { recursive: true, force: true }))
        .then(
          () => true,
          () => false,
        )
      if (removed) pruned += 1
    }
    return pruned
  }

  return { folderOf, hold, prune }
}

type Entry = readonly [string, string | Uint8Array]

function hashOf(entries: readonly Entry[]): string {
  const hash = createHash('sha256')
  for (const [path, content] of entries) {
    hash
      .update(`${Buffer.byteLength(path)} ${Buffer.byteLength(content)} `)
      .update(path)
      .update(content)
  }
  return hash.digest('hex').slice(0, 40)
}

async function writeBelow(folder: string, path: string, content: string | Uint8Array): Promise<void> {
  const clean = normalize(path)
  if (isAbsolute(clean) || clean === '.' || clean === '..' || clean.startsWith('../') || path.includes('\0')) {
    throw new TypeError('not a relative path inside the folder')
  }
  const target = join(folder, clean)
  await mkdir(dirname(target), { recursive: true, mode: FOLDER_MODE })
  await writeFile(target, content, { mode: FILE_MODE, flag: 'wx' })
}
