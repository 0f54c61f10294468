import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

export type AttachmentFile = { readonly name: string; readonly content: string | Uint8Array }

export type AttachmentFolder = {
  /** The absolute host path, to be shown read-only. */
  readonly folder: string
  /** Never rejects: what cannot be deleted now is pruned later. */
  remove(): Promise<void>
}

export type AttachmentFolders = {
  /** A new folder with exactly these files, which the sandbox that is shown it can read. A name that is not one of a file in it throws. */
  open(files: readonly AttachmentFile[]): Promise<AttachmentFolder>
  /**
   * Deletes folders that a worker left behind, older than `olderThanMs`; answers how many. Keep it above the longest attempt. What
   * cannot be deleted now is tried the next time.
   */
  prune(olderThanMs: number): Promise<number>
}

/** Agents pass, and cannot list what others were given. */
const ROOT_MODE = 0o711
/** For the worker, and for the group of one session's user, which is let in at its start. */
const FOLDER_MODE = 0o750
const FILE_MODE = 0o444

/** Keeps what comes with commands, one folder an attempt, below one root of this host. */
export function createAttachmentFolders(root: string): AttachmentFolders {
  const base = join(root, 'attachments')

  async function open(files: readonly AttachmentFile[]): Promise<AttachmentFolder> {
    await mkdir(base, { recursive: true, mode: 0o755 })
    await chmod(base, ROOT_MODE)
    const folder = join(base, randomUUID())
    const remove = () => rm(folder, { recursive: true, force: true }).catch(() => undefined)
    await mkdir(folder, { mode: FOLDER_MODE })
    try {
      for (const { name, content } of files) {
        if (name !== basename(name) || name === '' || name === '.' || name === '..' || name.includes('\0'))
          throw new TypeError('not the name of a file')
        await writeFile(join(folder, name), content, { mode: FILE_MODE, flag: 'wx' })
      }
    } catch (error) {
      await remove()
      throw error
    }
    return { folder, remove }
  }

  async function prune(olderThanMs: number): Promise<number> {
    let pruned = 0
    for (const name of await readdir(base).catch(() => [])) {
      const found = await stat(join(base, name)).catch(() => null)
      if (found === null || Date.now() - found.mtimeMs <= olderThanMs) continue
      const removed = await rm(join(base, name), { recursive: true, force: true }).then(
        () => true,
        () => false,
      )
      if (removed) pruned += 1
    }
    return pruned
  }

  return { open, prune }
}
