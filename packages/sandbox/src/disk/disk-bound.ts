import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { inFlightMissing } from './in-flight.ts'

const SYS_PTRACE = 19n

/**
 * Why a limit on disk would not hold here, or null. A file that an agent deleted goes on taking room while one of its processes holds
 * it open or has it in memory, and only a worker with these rights can see that.
 */
export function diskBoundMissing(): string | null {
  const unseen = inFlightMissing()
  if (unseen !== null) return `disk_mb: ${unseen}`
  if (mayLookIntoOthers() && maySeeMappedFiles()) return null
  return 'disk_mb: this worker may not see which deleted files its agents still hold (root with CAP_SYS_PTRACE and CAP_SYS_ADMIN may)'
}

function mayLookIntoOthers(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${effective}`) >> SYS_PTRACE) & 1n) === 1n
}

/** The kernel asks for that right even of who looks at itself. */
function maySeeMappedFiles(): boolean {
  const folder = '/proc/self/map_files'
  try {
    const [name] = readdirSync(folder)
    if (name !== undefined) readlinkSync(`${folder}/${name}`)
    return name !== undefined
  } catch {
    return false
  }
}
