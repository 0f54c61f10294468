import type { CgroupReport } from './cgroup/attempt-cgroup.ts'
import type { LimitBreach } from './sandbox.ts'

/** What the kernel's count of processes that it killed for want of memory means. */
export function memoryBreach(report: CgroupReport, memoryMb: number): LimitBreach | null {
  if (report.memoryKills === 0) return null
  const killed = report.memoryKills === 1 ? 'one of its processes' : `${report.memoryKills} of its processes`
  return { resource: 'memory', detail: `the kernel killed ${killed} at the limit of ${memoryMb} MiB of memory` }
}
