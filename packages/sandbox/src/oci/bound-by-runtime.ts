import { setTimeout as delay } from 'node:timers/promises'
import type { ResourceName, Resources } from '@muster/contracts'
import { newId } from '@muster/core'
import type { Cgroups } from '../cgroup/open-cgroups.ts'
import type { Sandbox } from '../sandbox.ts'

const RESOURCES: Resources = { cpu: 1, memory_mb: 256, pids: 64, disk_mb: 16 }
const PATIENCE_MS = 5_000
const PAUSE_MS = 20

/** The resources that a container is really bound in when its limits are left to the runtime, seen on one that waits. */
export async function boundByRuntime(
  start: Sandbox['start'],
  cgroups: Cgroups,
  spareProcesses: number,
): Promise<ReadonlySet<ResourceName>> {
  const group = { runId: newId('run'), sessionId: null, generation: 0 }
  const started = await start({
    group,
    command: ['sh', '-c', 'read -r _'],
    env: {},
    files: {},
    bundleFolder: null,
    attachmentsFolder: null,
    workspaceFolder: null,
    workspaceAccess: 'none',
    network: false,
    resources: RESOURCES,
    required: [],
  })
  if (started.kind !== 'started') return new Set()
  const deadline = performance.now() + PATIENCE_MS
  let bound = cgroups.boundIn(group, RESOURCES, spareProcesses)
  while (bound.size < cgroups.resources.size && performance.now() < deadline) {
    await delay(PAUSE_MS)
    bound = cgroups.boundIn(group, RESOURCES, spareProcesses)
  }
  await started.process.kill()
  return bound
}
