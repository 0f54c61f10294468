import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, mkdir, realpath, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { blockedAt } from './blocked-path.ts'

/**
 * A path of the Node binary that agents can reach: where it is, or a hard link (a copy across file systems) below
 * `cacheRoot` when a folder on the way is closed to them.
 */
export async function reachableNode(nodePath: string, cacheRoot: string): Promise<string> {
  const real = await realpath(nodePath)
  if ((await blockedAt(real)) === null) return real
  const { dev, ino, size, mtimeMs } = await stat(real)
  const folder = join(cacheRoot, 'node', [dev, ino, size, Math.floor(mtimeMs)].join('-'))
  const target = join(folder, 'node')
  if (
    await stat(target).then(
      () => true,
      () => false,
    )
  )
    return target
  await mkdir(folder, { recursive: true, mode: 0o755 })
  const draft = join(folder, `.${randomUUID()}`)
  await link(real, draft).catch(() => copyFile(real, draft, constants.COPYFILE_FICLONE))
  await rename(draft, target)
  await rm(draft, { force: true })
  return target
}
