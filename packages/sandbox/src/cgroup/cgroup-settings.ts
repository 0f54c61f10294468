import type { Resources } from '@muster/contracts'
import type { CgroupResource } from './cgroup-hierarchies.ts'

/** One file of a control group and what goes into it. `optional`: a host may lack it, and the limit holds without. */
export type CgroupSetting = { readonly file: string; readonly value: string; readonly optional?: true }

const PERIOD_US = 100_000
/** The kernel takes no longer one. */
const PERIOD_MAX_US = 1_000_000
/** The kernel takes no less. */
const QUOTA_MIN_US = 1_000
/** The kernel takes no more, having no more numbers. */
const PIDS_MAX = 4_194_304
const MIB = 1024 * 1024

/** So much time in each period, both in µs; throws for less than the kernel can hold to. */
export function cpuBound(cpu: number): { readonly quota: number; readonly period: number } {
  const period = Math.max(PERIOD_US, Math.ceil(QUOTA_MIN_US / cpu))
  if (period > PERIOD_MAX_US) throw new RangeError(`a limit of ${cpu} cpu is less than can be held`)
  return { quota: Math.max(QUOTA_MIN_US, Math.round(cpu * period)), period }
}

/** How many processes and threads there may be, those of the sandbox itself included. */
export const pidsBound = (pids: number, spareProcesses: number): number => Math.min(PIDS_MAX, pids + spareProcesses)

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
  if (resource === 'pids') return [{ file: 'pids.max', value: String(pidsBound(resources.pids, spareProcesses)) }]
  if (resource === 'cpu') {
    const { quota, period } = cpuBound(resources.cpu)
    if (version === 2) return [{ file: 'cpu.max', value: `${quota} ${period}` }]
    return [
      { file: 'cpu.cfs_period_us', value: String(period) },
      { file: 'cpu.cfs_quota_us', value: String(quota) },
    ]
  }
  if (version === 2) {
    return [
      { file: 'memory.max', value: bytes },
      { file: 'memory.swap.max', value: '0', optional: true },
    ]
  }
  return [
    { file: 'memory.limit_in_bytes', value: bytes },
    { file: 'memory.memsw.limit_in_bytes', value: bytes, optional: true },
    { file: 'memory.swappiness', value: '0', optional: true },
    // Here what lies in sockets is no memory, and not bounded unless it is told to be: so much again, then.
    { file: 'memory.kmem.tcp.limit_in_bytes', value: bytes },
  ]
}
