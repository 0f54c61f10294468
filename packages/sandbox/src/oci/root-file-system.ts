import { createHash, randomUUID } from 'node:crypto'
import { chmod, lstat, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { GROUP_MOUNTS } from '../find-sandboxes.ts'
import type { HostPath, HostSystem } from '../host-system.ts'
import { PLACES } from '../sandbox-places.ts'
import { DRAFT, unpackImage } from './unpack-image.ts'

/** Where a container's root comes from: the host's own programs, a folder, or an image in an OCI layout on disk. */
export type RootSource =
  | { readonly kind: 'host' }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'image'; readonly layout: string; readonly reference?: string }

export type RootFileSystem = {
  readonly path: string
  /** What of the host is shown over it, without and with the host's network. */
  readonly closed: readonly HostPath[]
  readonly networked: readonly HostPath[]
}

const FOLDERS = ['/proc', '/dev', '/tmp', '/run', PLACES.home, PLACES.workspace, PLACES.agent, PLACES.attachments]

/** Prepares a root once; it is kept below `cacheRoot` and never written again. */
export async function prepareRoot(source: RootSource, system: HostSystem, cacheRoot: string): Promise<RootFileSystem> {
  switch (source.kind) {
    case 'folder':
      return { path: source.path, closed: [], networked: [] }
    case 'image':
      return { path: await unpackImage(source, cacheRoot), closed: [], networked: [] }
    case 'host': {
      const paths = [...system.closed, ...system.networked]
      return { path: await mountPoints(paths, cacheRoot), closed: system.closed, networked: system.networked }
    }
  }
}

/** A root of nothing but places to mount at, named after what it holds. */
async function mountPoints(paths: readonly HostPath[], cacheRoot: string): Promise<string> {
  const name = createHash('sha256')
    .update(JSON.stringify([FOLDERS, PLACES, paths]))
    .digest('hex')
    .slice(0, 40)
  const folder = join(cacheRoot, 'roots', name)
  if (await isThere(folder)) return folder
  const draft = join(cacheRoot, 'roots', `${DRAFT}${randomUUID()}`)
  for (const path of [...FOLDERS, GROUP_MOUNTS, PLACES.node]) await mkdir(join(draft, path), { recursive: true })
  // runc gives a file system in memory the mode of the folder below it.
  await chmod(join(draft, 'tmp'), 0o1777)
  await writeFile(join(draft, PLACES.node, 'node'), '')
  for (const path of paths) {
    const at = join(draft, path.kind === 'bind' ? path.to : path.at)
    // What lies inside another bind has its place there.
    if (dirname(at) !== draft || (await isThere(at))) continue
    if (path.kind === 'link') await symlink(path.target, at)
    else await mkdir(at)
  }
  await chmod(draft, 0o755)
  await rename(draft, folder).catch(async (error: unknown) => {
    await rm(draft, { recursive: true, force: true })
    if (!(await isThere(folder))) throw error
  })
  return folder
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )
