import type { Resources } from '@muster/contracts'
import type { HardLimits, ProcessLimitName } from './hard-limits.ts'

export type ProcessLimit = { readonly name: ProcessLimitName; readonly value: number }

/**
 * All of them are closed when a process ends, which no signal shortens: what that takes grows with their number times the locks of their
 * file, and with its square where they watch one another (epoll). And the host has one table of open files for all.
 */
const OPEN_FILES_MAX = 4_096
/** Not 0: a kernel that pipes its dumps to a program does so at 0, and only at 1 does not. No dump fits into a byte. */
const CORE_BYTES = 1

const MIB = 1024 * 1024

/** What each process of a sandbox may at most, as a second fence behind the limits of the whole; `hard` is as high as it gets. */
export function processLimits(resources: Resources, hard: HardLimits): readonly ProcessLimit[] {
  const wanted: readonly ProcessLimit[] = [
    { name: 'core', value: CORE_BYTES },
    // A little more than the limit, so that one large file passes it visibly.
    { name: 'fsize', value: (resources.disk_mb + 1) * MIB },
    { name: 'nofile', value: OPEN_FILES_MAX },
  ]
  return wanted.map(({ name, value }) => ({ name, value: Math.min(value, hard[name] ?? value) }))
}

/** The words to put before a command so that it starts under these limits; `prlimit` is the host's own. */
export const limitedBy = (prlimit: string, limits: readonly ProcessLimit[]): string[] => [
  prlimit,
  ...limits.map(({ name, value }) => `--${name}=${value}:${value}`),
  '--',
]
