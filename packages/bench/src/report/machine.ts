import { cpus, loadavg, totalmem } from 'node:os'

/** Where figures were taken, and with what. */
export type Machine = {
  readonly cpus: number
  readonly cpuModel: string
  readonly memoryGib: number
  readonly node: string
  readonly postgres: string
  readonly redis: string
  /** Of the last minute, before anything was measured. */
  readonly load: number
}

/** Past this load for each CPU somebody else was working too. */
const BUSY_LOAD = 0.25

/** Look before the first measurement: the load is that of this instant. */
export function describeMachine(): Omit<Machine, 'postgres' | 'redis'> {
  const found = cpus()
  return {
    cpus: found.length,
    cpuModel: found[0]?.model.trim() ?? 'unknown',
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    node: process.versions.node,
    load: loadavg()[0] ?? 0,
  }
}

/** The head of a report. */
export function formatMachine({ cpus, cpuModel, memoryGib, node, postgres, redis, load }: Machine): string {
  const lines = [
    `machine: ${cpus} x ${cpuModel}, ${memoryGib} GiB`,
    `with: Node ${node}, Postgres ${postgres} (fsync on), Redis ${redis} (append-only file each second), all on this machine`,
    `load average at the start: ${load.toFixed(2)}`,
  ]
  if (load > cpus * BUSY_LOAD) lines.push('WARNING: the machine was busy with something else; these figures say little')
  return lines.join('\n')
}
