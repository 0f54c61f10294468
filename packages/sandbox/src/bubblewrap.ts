import { access, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { AttemptLimits, ResourceName } from '@muster/contracts'
import { bubblewrapArguments, environmentArguments, maskArguments } from './bubblewrap-arguments.ts'
import { bubblewrapProcess } from './bubblewrap-process.ts'
import { type Cgroups, openCgroups } from './cgroup/open-cgroups.ts'
import { createFileCache, type FileCache } from './file-cache.ts'
import { heldLimits, unheldDemand } from './held-limits.ts'
import { describeHostSystem, type HostSystem } from './host-system.ts'
import { reachableNode } from './node-binary.ts'
import { probeBubblewrap } from './probe-bubblewrap.ts'
import { limitedBy, processLimits } from './process-limits.ts'
import type { ConfirmStart, Sandbox, SandboxSpec, StartOutcome } from './sandbox.ts'
import { groupMarker } from './sandbox-group.ts'
import { type SandboxUser, sandboxUserOf } from './sandbox-user.ts'
import { filteredArchitecture, seccompFilter } from './seccomp/seccomp-filter.ts'
import { spawnChild } from './spawn-child.ts'
import { createWatchdog } from './watchdog.ts'

export type BubblewrapOptions = {
  /** Where files that sandboxes are shown are kept between them; may be shared by workers. Every folder on the way must be passable for agents. */
  readonly cacheRoot: string
  /** The root of the session folders, for the probe to check that agents can reach them. */
  readonly sessionRoot?: string
  /** Whom agents run as when the worker is root. */
  readonly user?: SandboxUser
  /** Default: `bwrap` in the usual folders. */
  readonly bwrapPath?: string
  /** Default: the Node that runs this process. */
  readonly nodePath?: string
  /** Bound of each private file system in memory, MiB; the policy's disk limit if that is lower. Default 256. */
  readonly scratchMb?: number
  /** `hidden`: behaves as on a host without control groups. Default `auto`. */
  readonly cgroups?: 'auto' | 'hidden'
}

const WALLS: AttemptLimits = {
  network: 'enforced',
  workspace_access: 'enforced',
  host_files: 'enforced',
  host_processes: 'enforced',
  syscalls: 'enforced',
  privileges: 'enforced',
}

const PRLIMIT_PATHS = ['/usr/bin/prlimit', '/bin/prlimit']
const BWRAP_PATHS = ['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap']

/** The monitor out here and the init in there. */
const OWN_PROCESSES = 2

type Host = {
  readonly bwrap: string
  readonly prlimit: string
  /** Arguments that hide what /proc tells of the host. */
  readonly masks: readonly string[]
  readonly system: HostSystem
  readonly nodePath: string
  readonly filterPath: string
  readonly cgroups: Cgroups
  readonly held: ReadonlySet<ResourceName>
}

type Ready = { readonly host: Host; readonly filesFolder: string | null }

/** Runs each agent in namespaces of its own by bubblewrap, without privilege on either side of the wall. */
export function createBubblewrap(options: BubblewrapOptions): Sandbox {
  const user = sandboxUserOf(options.user)
  const cache = createFileCache(options.cacheRoot)
  const watchdog = createWatchdog(user)
  let host: Promise<Host> | null = null

  function describeHost(): Promise<Host> {
    host ??= (async () => {
      const bwrap = options.bwrapPath ?? (await firstPresent(BWRAP_PATHS))
      if (bwrap === null) throw new Error(`bubblewrap is not installed (looked for ${BWRAP_PATHS.join(', ')})`)
      const prlimit = await firstPresent(PRLIMIT_PATHS)
      if (prlimit === null) throw new Error('prlimit (of util-linux) is not installed')
      const [masks, system, nodePath, filterPath, cgroups] = await Promise.all([
        maskArguments(),
        describeHostSystem(cache),
        reachableNode(options.nodePath ?? process.execPath, options.cacheRoot, user),
        filterFile(cache),
        openCgroups({ mode: options.cgroups ?? 'auto' }),
      ])
      await cgroups.removeLeftovers()
      return { bwrap, prlimit, masks, system, nodePath, filterPath, cgroups, held: cgroups.resources }
    })().catch((error: unknown) => {
      host = null
      throw error
    })
    return host
  }

  async function start(spec: SandboxSpec, confirm?: ConfirmStart): Promise<StartOutcome> {
    const hasFiles = Object.keys(spec.files).length > 0
    try {
      const host = await describeHost()
      const refusal = unheldDemand(spec.required, host.held)
      if (refusal !== null) return { kind: 'failed', reason: refusal }
      return await launch(spec, { host, filesFolder: hasFiles ? await cache.folderOf(spec.files) : null }, confirm)
    } catch (error) {
      return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
    }
  }

  async function launch(spec: SandboxSpec, ready: Ready, confirm: ConfirmStart | undefined): Promise<StartOutcome> {
    const cgroup = await ready.host.cgroups.open(spec.group, spec.resources, OWN_PROCESSES)
    const marker = groupMarker(spec.group)
    const confining = bubblewrapArguments(spec, {
      marker,
      system: spec.network ? ready.host.system.networked : ready.host.system.closed,
      masks: ready.host.masks,
      nodePath: ready.host.nodePath,
      filesFolder: ready.filesFolder,
      scratchBytes: Math.min(options.scratchMb ?? 256, spec.resources.disk_mb) * 1024 * 1024,
    })
    watchdog.ensure()
    const limited = [...limitedBy(ready.host.prlimit, processLimits(spec.resources)), ...spec.command]
    const filter = await open(ready.host.filterPath)
    const child = await spawnChild({
      command: ready.host.bwrap,
      arguments: [
        ...confining,
        '--block-fd',
        '5',
        '--json-status-fd',
        '4',
        '--seccomp',
        '6',
        '--args',
        '3',
        '--',
        ...limited,
      ],
      name: groupMarker(spec.group, watchdog.token),
      env: {},
      user,
      folder: '/',
      session: 'shared',
      extraPipes: 3,
      files: [filter.fd],
    }).finally(() => filter.close())
    if (typeof child === 'string') {
      await cgroup.end()
      return { kind: 'failed', reason: child }
    }
    return await bubblewrapProcess({
      child,
      group: spec.group,
      user,
      confirm,
      limits: { ...heldLimits(ready.host.held), ...WALLS },
      cgroup,
      memoryMb: spec.resources.memory_mb,
      environment: environmentArguments(spec.env),
    })
  }

  return {
    runtime: 'bubblewrap',
    start,
    probe: () =>
      probeBubblewrap({
        start,
        user,
        folders: [options.cacheRoot, options.sessionRoot ?? options.cacheRoot],
        holds: async () => {
          const { cgroups, held } = await describeHost()
          return { holds: [...held], missing: cgroups.missing }
        },
      }),
  }
}

/** Opened anew for each sandbox, since a descriptor's place in the file is shared. */
async function filterFile(cache: FileCache): Promise<string> {
  const architecture = filteredArchitecture()
  if (architecture === null) throw new Error(`there is no filter of system calls for ${process.arch}`)
  return join(await cache.folderOf({ filter: seccompFilter(architecture) }), 'filter')
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
