import { type ExecFileException, execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, chown, lstat, mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { idPattern } from '@muster/contracts'
import { removeTree } from './remove-tree.ts'
import type { ConfirmStart } from './sandbox.ts'
import { isAgentsUser, type SandboxUser, sessionUser } from './sandbox-user.ts'

export type ReplaceOutcome =
  | { readonly kind: 'replaced'; readonly folder: string }
  | { readonly kind: 'failed'; readonly reason: string }
  /** The caller no longer owns the session; its folder is where it was. */
  | { readonly kind: 'refused' }

export type SessionFolders = {
  /** The absolute path of a session's (or a sessionless run's) folder, made when it is missing and owned by that session's user. */
  open(name: string): Promise<string>
  /**
   * Gives the session a copy of its folder and moves the old one aside, for an earlier attempt that cannot be reached: it
   * keeps the old inode. Interrupted anywhere, the next `open` or `replace` finds either the old folder or a whole copy. `confirm` is asked
   * once the copy is whole, which may take long, and before anything is moved.
   */
  replace(name: string, confirm?: ConfirmStart): Promise<ReplaceOutcome>
  /** Deletes a session's folder and its copies. */
  remove(name: string): Promise<void>
  /** The names of folders in which nothing was made, removed or renamed at the top for so long. */
  untouched(olderThanMs: number): Promise<readonly string[]>
  /**
   * Deletes the folders that `replace` moved aside longer ago than `olderThanMs`, and copies cut short; answers how many. One that
   * cannot be deleted now, as a zombie may still write there, is tried the next time.
   */
  removeReplaced(olderThanMs: number): Promise<number>
}

const PASSABLE = 0o711
const PRIVATE = 0o700
/** A line for each file that a zombie may delete while it is copied. */
const COMPLAINTS_BYTES = 64 * 1024 * 1024

/** Session folders below one root that every worker of the fleet shares. Names are session or run ids; anything else throws. */
export function createSessionFolders(root: string): SessionFolders {
  const current = join(root, 'sessions')
  const copies = join(root, 'copies')
  const replaced = join(root, 'replaced')
  let ready: Promise<void> | null = null

  function prepare(): Promise<void> {
    ready ??= (async () => {
      await mkdir(root, { recursive: true, mode: 0o755 })
      for (const [folder, mode] of [
        [current, PASSABLE],
        [copies, PASSABLE],
        [replaced, PRIVATE],
      ] as const) {
        await mkdir(folder, { recursive: true, mode })
        await chmod(folder, mode)
      }
    })().catch((error: unknown) => {
      ready = null
      throw error
    })
    return ready
  }

  async function open(name: string): Promise<string> {
    refuseOtherNames(name)
    await prepare()
    const folder = join(current, name)
    // A whole copy in waiting means that its way into place was cut short, if nothing is in place.
    if (!(await isTaken(folder)) && !(await moved(join(copies, name), folder))) {
      await mkdir(folder, { mode: PRIVATE }).then(() => true, falseFor('EEXIST'))
    }
    const found = await lstat(folder)
    if (!found.isDirectory()) throw new Error(`not a folder: ${folder}`)
    const user = sessionUser(name)
    // One that an earlier version made keeps its owner, as all that lies in it does.
    if (user !== null && !isAgentsUser(found.uid)) await chown(folder, user.uid, user.gid)
    // An agent may have closed it to itself, and so to the next one.
    if ((found.mode & PRIVATE) !== PRIVATE) await chmod(folder, PRIVATE)
    return folder
  }

  async function replace(name: string, confirm?: ConfirmStart): Promise<ReplaceOutcome> {
    const folder = await open(name)
    const unique = randomUUID()
    const draft = join(copies, `${name}.part-${unique}`)
    const whole = join(copies, name)
    const owner = await ownerOf(folder)
    await mkdir(draft, { mode: PRIVATE })
    if (owner !== null) await chown(draft, owner.uid, owner.gid)
    const reason = await copyFolder(folder, draft, owner)
    if (reason !== null || (confirm !== undefined && !(await confirm()))) {
      await removeTree(draft)
      return reason === null ? { kind: 'refused' } : { kind: 'failed', reason }
    }
    await removeTree(whole)
    await rename(draft, whole)
    await rename(folder, join(replaced, `${name}.${Date.now()}.${unique}`))
    await rename(whole, folder)
    return { kind: 'replaced', folder }
  }

  async function remove(name: string): Promise<void> {
    refuseOtherNames(name)
    await removeTree(join(copies, name))
    await removeTree(join(current, name))
  }

  async function untouched(olderThanMs: number): Promise<readonly string[]> {
    const old: string[] = []
    for (const name of await readdir(current).catch(() => [])) {
      const found = isId(name) ? await lstat(join(current, name)).catch(() => null) : null
      if (found !== null && Date.now() - found.mtimeMs > olderThanMs) old.push(name)
    }
    return old
  }

  async function removeReplaced(olderThanMs: number): Promise<number> {
    let removed = 0
    for (const name of await readdir(replaced).catch(() => [])) {
      if (Date.now() - Number(name.split('.')[1]) <= olderThanMs) continue
      if (await isRemoved(join(replaced, name))) removed += 1
    }
    for (const name of await readdir(copies).catch(() => [])) {
      const found = name.includes('.') ? await lstat(join(copies, name)).catch(() => null) : null
      if (found === null || Date.now() - found.ctimeMs <= olderThanMs) continue
      if (await isRemoved(join(copies, name))) removed += 1
    }
    return removed
  }

  return { open, replace, remove, untouched, removeReplaced }
}

const isId = (name: string): boolean => idPattern('session').test(name) || idPattern('run').test(name)

function refuseOtherNames(name: string): void {
  if (!isId(name)) throw new TypeError('not a session or run id')
}

/** Whom to act as on a folder; null for this process's own user. */
async function ownerOf(folder: string): Promise<SandboxUser | null> {
  if (process.getuid?.() !== 0) return null
  const { uid } = await lstat(folder)
  return { uid, gid: uid }
}

async function isRemoved(path: string): Promise<boolean> {
  return await removeTree(path).then(
    () => true,
    () => false,
  )
}

async function isTaken(path: string): Promise<boolean> {
  return await lstat(path).then(() => true, falseFor('ENOENT'))
}

async function moved(from: string, to: string): Promise<boolean> {
  return await rename(from, to).then(() => true, falseFor('ENOENT'))
}

function falseFor(code: string): (error: unknown) => boolean {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === code) return false
    throw error
  }
}

/**
 * Null when the copy holds everything that stayed in place while it was made, else what went wrong. Made by its owner:
 * whoever still writes there may turn a folder into a link at any time, and must not so be shown what root may read. What an agent
 * closed to itself is opened first, or one file would keep its session from ever being copied.
 */
async function copyFolder(from: string, to: string, user: SandboxUser | null): Promise<string | null> {
  await runAs(user, '/bin/chmod', ['-Rf', 'u+rX', '--', from])
  const { error, stderr } = await runAs(user, '/bin/cp', ['-a', '--reflink=auto', '--', `${from}/.`, to])
  const faults = stderr.split('\n').filter((line) => line !== '' && !line.endsWith('No such file or directory'))
  // What a zombie deletes while it is read is no fault of the copy.
  if (error === null || (error.code === 1 && faults.length === 0)) return null
  return faults[0] ?? error.message
}

type Ended = { readonly error: ExecFileException | null; readonly stderr: string }

function runAs(user: SandboxUser | null, program: string, words: readonly string[]): Promise<Ended> {
  const options = { env: { LC_ALL: 'C' }, cwd: '/', maxBuffer: COMPLAINTS_BYTES, ...(user ?? {}) }
  return new Promise((resolve) => {
    execFile(program, words, options, (error, _stdout, stderr) => resolve({ error, stderr }))
  })
}
