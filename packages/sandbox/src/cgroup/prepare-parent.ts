import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../error-code.ts'
import { type CgroupHierarchy, controllerOf } from './cgroup-hierarchies.ts'
import { cgroupParent } from './cgroup-parent.ts'

/** Where the processes of a container go that stand in the way of its own groups. */
const ASIDE = 'muster-host'

/** Makes the folder that all groups of attempts lie in, with the controllers that they need. */
export async function prepareParent(hierarchy: CgroupHierarchy): Promise<void> {
  const parent = cgroupParent(hierarchy.root)
  if (hierarchy.version === 2) await enable(hierarchy.root, hierarchy)
  await mkdir(parent).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
  if (hierarchy.version === 2) await enable(parent, hierarchy)
}

/**
 * Hands controllers on to the groups below. Version 2 refuses that to a group that holds processes itself, as the root of a
 * container does: those then move one level down.
 */
async function enable(folder: string, hierarchy: CgroupHierarchy): Promise<void> {
  const file = join(folder, 'cgroup.subtree_control')
  const wanted = hierarchy.resources.map((resource) => controllerOf(resource))
  const present = (await readFile(file, 'utf8')).trim().split(' ')
  if (wanted.every((controller) => present.includes(controller))) return
  const value = wanted.map((controller) => `+${controller}`).join(' ')
  const refused = await writeFile(file, value, { flag: 'r+' }).then(() => null, codeOf)
  if (refused === null) return
  if (refused === 'EBUSY') await moveAside(folder)
  await writeFile(file, value, { flag: 'r+' })
}

async function moveAside(folder: string): Promise<void> {
  const aside = join(folder, ASIDE)
  await mkdir(aside, { recursive: true })
  for (const pid of (await readFile(join(folder, 'cgroup.procs'), 'utf8')).trim().split('\n')) {
    if (pid === '' || pid === '0') continue
    // A process that ended meanwhile is no obstacle any more.
    await writeFile(join(aside, 'cgroup.procs'), pid, { flag: 'r+' }).catch(() => undefined)
  }
}
