import { existsSync } from 'node:fs'
import type { AttemptCgroup } from '../cgroup/attempt-cgroup.ts'
import { searchSandboxes } from '../find-sandboxes.ts'
import type { SandboxGroup } from '../sandbox-group.ts'
import { namespaceOf, type SandboxPids } from './sandbox-pids.ts'

/** An init that was not found so often is none that this worker may look at. */
const SEARCHES_MAX = 3

/**
 * Tells at each look where the processes of an attempt are: in its control groups or, where it has none, in the pid namespace of its init.
 * That is searched for, which on a host with many processes takes a while: not at the first look, when it may be just starting, and not
 * again once it is found.
 */
export function processFinder(cgroup: AttemptCgroup, group: SandboxGroup): () => Promise<SandboxPids> {
  const { runId, generation } = group
  let looks = 0
  let inside: number | null = null
  return async () => {
    if (cgroup.folders.some((folder) => existsSync(folder))) return { groups: cgroup.folders }
    if (inside === null && looks > 0 && looks <= SEARCHES_MAX) {
      const { found } = await searchSandboxes({ runId, generation })
      const own = namespaceOf('pid', process.pid)
      inside = found.find((one) => namespaceOf('pid', one.pid) !== own)?.pid ?? null
    }
    looks += 1
    return inside === null ? { pids: [] } : { namespaceOf: inside }
  }
}
