import { writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Resources } from '@muster/contracts'
import { codeOf } from '../error-code.ts'
import { attemptCgroup } from './attempt-cgroup.ts'
import type { CgroupHierarchy } from './cgroup-hierarchies.ts'
import { cgroupSettings } from './cgroup-settings.ts'

/**
 * Makes one group with its limits set. A group of that name that is there already belongs to an attempt that is over or
 * about to be killed: it is emptied and made anew, so that its counters start at nothing. To make a group may wait for
 * others that the kernel is busy with; to write into one does not, and costs less than to ask another thread for it.
 */
export async function makeCgroup(
  folder: string,
  hierarchy: CgroupHierarchy,
  resources: Resources,
  spareProcesses: number,
): Promise<void> {
  await mkdir(folder).catch(async (error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error
    await attemptCgroup([folder], null).end()
    await mkdir(folder)
  })
  for (const resource of hierarchy.resources) {
    for (const setting of cgroupSettings(hierarchy.version, resource, resources, spareProcesses)) {
      // Without `r+` a file that the kernel does not offer would read as one that we may not make.
      try {
        writeFileSync(join(folder, setting.file), setting.value, { flag: 'r+' })
      } catch (error) {
        if (setting.optional !== true) throw error
      }
    }
  }
}
