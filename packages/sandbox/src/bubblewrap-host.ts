import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { ResourceName } from '@muster/contracts'
import type { BubblewrapOptions } from './bubblewrap.ts'
import { BUBBLEWRAP_ACCOUNT, maskArguments } from './bubblewrap-arguments.ts'
import { type Cgroups, openCgroups } from './cgroup/open-cgroups.ts'
import { diskBoundMissing } from './disk/disk-bound.ts'
import type { FileCache, HeldFolder } from './file-cache.ts'
import { type HardLimits, readHardLimits } from './hard-limits.ts'
import { describeHostSystem, type HostSystem } from './host-system.ts'
import { reachableNode } from './node-binary.ts'
import { filteredArchitecture, seccompFilter } from './seccomp/seccomp-filter.ts'

const FILTER = 'filter'
const PRLIMIT_PATHS = ['/usr/bin/prlimit', '/bin/prlimit']
const BWRAP_PATHS = ['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap']

/** What of this host each sandbox needs, looked at once. */
export type BubblewrapHost = {
  readonly bwrap: string
  readonly prlimit: string
  /** Arguments that hide what /proc tells of the host. */
  readonly masks: readonly string[]
  readonly system: HostSystem
  readonly nodePath: string
  readonly filterPath: string
  readonly cgroups: Cgroups
  readonly held: ReadonlySet<ResourceName>
  /** Why a resource cannot be bounded here, for those that cannot. */
  readonly missing: readonly string[]
  readonly hardLimits: HardLimits
  /** Call before each sandbox: what it is shown of our own files may have been pruned since. */
  keep(): Promise<void>
}

/** Rejects where a part is missing that bubblewrap cannot do without. */
export async function bubblewrapHost(options: BubblewrapOptions, cache: FileCache): Promise<BubblewrapHost> {
  const bwrap = options.bwrapPath ?? (await firstPresent(BWRAP_PATHS))
  if (bwrap === null) throw new Error(`bubblewrap is not installed (looked for ${BWRAP_PATHS.join(', ')})`)
  const prlimit = await firstPresent(PRLIMIT_PATHS)
  if (prlimit === null) throw new Error('prlimit (of util-linux) is not installed')
  const [masks, system, nodePath, filter, cgroups] = await Promise.all([
    maskArguments(),
    describeHostSystem(cache, BUBBLEWRAP_ACCOUNT),
    reachableNode(options.nodePath ?? process.execPath, options.cacheRoot),
    filterFolder(cache),
    openCgroups({ mode: options.cgroups ?? 'auto' }),
  ])
  await cgroups.removeLeftovers()
  const unboundDisk = diskBoundMissing()
  return {
    bwrap,
    prlimit,
    masks,
    system,
    nodePath,
    filterPath: join(filter.folder, FILTER),
    cgroups,
    held: new Set<ResourceName>([...cgroups.resources, ...(unboundDisk === null ? ['disk_mb' as const] : [])]),
    missing: unboundDisk === null ? cgroups.missing : [...cgroups.missing, unboundDisk],
    hardLimits: readHardLimits(),
    keep: async () => {
      await Promise.all([system.keep(), filter.keep()])
    },
  }
}

/** Opened anew for each sandbox, since a descriptor's place in the file is shared. */
async function filterFolder(cache: FileCache): Promise<HeldFolder> {
  const architecture = filteredArchitecture()
  if (architecture === null) throw new Error(`there is no filter of system calls for ${process.arch}`)
  return cache.hold({ [FILTER]: seccompFilter(architecture) })
}

async function firstPresent(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path
  }
  return null
}
