import type { Resources } from '@muster/contracts'
import type { CgroupResource } from './cgroup-hierarchies.ts'

/** One file of a control group and what goes into it. `optional`: a host may lack it, and the limit holds without. */
export type CgroupSetting = { readonly file: string; readonly value: string; readonly optional?: true }

const PERIOD_US = 100_000
/** The kernel takes no less. */
const QUOTA_MIN_US = 1_000
const MIB = 1024 * 1024

/**
 * What bounds one resource, in the order to write it. Swap is off where the host accounts for it, so that memory is memory.
 * `spareProcesses` are those of the sandbox itself, which the agent is not charged for.
 */
export function cgroupSettings(
  version: 1 | 2,
  resource: CgroupResource,
  resources: Resources,
  spareProcesses: number,
): readonly CgroupSetting[] {
  const bytes = String(resources.memory_mb * MIB)
  const quota = String(Math.max(QUOTA_MIN_US, Math.round(resources.cpu * PERIOD_US)))
  if (resource === 'pids') return [{ file: 'pids.max', value: String(resources.pids + spareProcesses) }]
  if (version === 2) {
    if (resource === 'cpu') return [{ file: 'cpu.max', value: `${quota} ${PERIOD_US}` }]
    return [
      { file: 'memory.max', value: bytes },
      { file: 'memory.swap.max', value: '0', optional: true },
    ]
  }
  if (resource === 'cpu') {
    return [
      { file: 'cpu.cfs_period_us', value: String(PERIOD_US) },
      { file: 'cpu.cfs_quota_us', value: quota },
    ]
  }
  return [
    { file: 'memory.limit_in_bytes', value: bytes },
    { file: 'memory.memsw.limit_in_bytes', value: bytes, optional: true },
    { file: 'memory.swappiness', value: '0', optional: true },
  ]
}
