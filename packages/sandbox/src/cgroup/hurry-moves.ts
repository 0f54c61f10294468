import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { moveInto } from './attempt-cgroup.ts'
import { type CgroupHierarchy, controllerOf } from './cgroup-hierarchies.ts'

/**
 * Makes the kernel ready to move a process between groups, without moving any. The first move after a while waits for all
 * processors to pass by, 5 ms and more; those soon after do not. Begun before a sandbox is spawned, the wait is over, or
 * nearly, when the sandbox is there to be moved. One at a time; a host that refuses costs only the wait.
 */
export function createMoveHurry(hierarchies: readonly CgroupHierarchy[]): () => void {
  const [hierarchy] = hierarchies
  const procs = hierarchy === undefined ? null : ownProcs(hierarchy)
  let underway = false
  return () => {
    if (procs === null || underway) return
    underway = true
    // This process goes where it is already.
    void moveInto(procs, process.pid)
      .catch(() => undefined)
      .finally(() => {
        underway = false
      })
  }
}

function ownProcs({ version, root, resources: [resource] }: CgroupHierarchy): string | null {
  const controller = version === 2 || resource === undefined ? '' : controllerOf(resource)
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').split('\n')) {
    const [, controllers = '', ...path] = line.split(':')
    if (controllers.split(',').includes(controller)) return join(root, path.join(':'), 'cgroup.procs')
  }
  return null
}
