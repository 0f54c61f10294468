import { closeSync, openSync } from 'node:fs'
import type { AttemptLimits } from '@muster/contracts'
import { bubblewrapArguments, environmentArguments } from './bubblewrap-arguments.ts'
import { type BubblewrapHost, bubblewrapHost } from './bubblewrap-host.ts'
import { bubblewrapProcess } from './bubblewrap-process.ts'
import type { AttemptCgroup } from './cgroup/attempt-cgroup.ts'
import { boundFolder, folderBounds } from './disk/bound-folder.ts'
import { processFinder } from './disk/find-processes.ts'
import { explainBubblewrap } from './explain-bubblewrap.ts'
import { createFileCache } from './file-cache.ts'
import { heldLimits, unheldDemand } from './held-limits.ts'
import { createPipes } from './pipes.ts'
import { probeSandbox } from './probe-sandbox.ts'
import { limitedBy, processLimits } from './process-limits.ts'
import type { ConfirmStart, Sandbox, SandboxSpec, StartOutcome } from './sandbox.ts'
import { groupMarker } from './sandbox-group.ts'
import { admitUser, type SandboxUser } from './sandbox-user.ts'
import { spawnChild } from './spawn-child.ts'
import { createWatchdog } from './watchdog.ts'

export type BubblewrapOptions = {
  /** Where files that sandboxes are shown are kept between them; may be shared by workers. Every folder on the way must be passable for agents. */
  readonly cacheRoot: string
  /** The root of the session folders, for the probe to check that agents can reach them. */
  readonly sessionRoot?: string
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

/** The init in there. */
const OWN_PROCESSES = 1

type Ready = {
  readonly host: BubblewrapHost
  readonly user: SandboxUser | null
  readonly cgroup: AttemptCgroup
  readonly filesFolder: string | null
}

/** Runs each agent in namespaces of its own by bubblewrap, without privilege on either side of the wall. */
export function createBubblewrap(options: BubblewrapOptions): Sandbox {
  const cache = createFileCache(options.cacheRoot)
  const watchdog = createWatchdog()
  const pipes = createPipes(options.cacheRoot)
  let host: Promise<BubblewrapHost> | null = null

  function describeHost(): Promise<BubblewrapHost> {
    host ??= bubblewrapHost(options, cache).catch((error: unknown) => {
      host = null
      throw error
    })
    return host
  }

  async function start(spec: SandboxSpec, confirm?: ConfirmStart): Promise<StartOutcome> {
    try {
      const host = await describeHost()
      const refusal = unheldDemand(spec.required, host.held)
      if (refusal !== null) return { kind: 'failed', reason: refusal }
      const user = await admitUser(spec)
      const [files, opened, kept] = await Promise.allSettled([
        spec.bundleFolder ?? (Object.keys(spec.files).length > 0 ? cache.folderOf(spec.files) : null),
        host.cgroups.open(spec.group, spec.resources, OWN_PROCESSES),
        host.keep(),
      ])
      if (opened.status === 'rejected') throw opened.reason
      const cgroup = opened.value
      try {
        if (files.status === 'rejected') throw files.reason
        if (kept.status === 'rejected') throw kept.reason
        return await launch(spec, { host, user, cgroup, filesFolder: files.value }, confirm)
      } catch (error) {
        // Nothing is in it, and to remove it may take what there is too little of.
        void cgroup.end()
        throw error
      }
    } catch (error) {
      return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
    }
  }

  async function launch(spec: SandboxSpec, ready: Ready, confirm: ConfirmStart | undefined): Promise<StartOutcome> {
    const { host, user, cgroup } = ready
    const marker = groupMarker(spec.group, watchdog.token)
    const confining = bubblewrapArguments(spec, {
      marker,
      system: spec.network ? host.system.networked : host.system.closed,
      masks: host.masks,
      nodePath: host.nodePath,
      filesFolder: ready.filesFolder,
      scratchBytes: Math.min(options.scratchMb ?? 256, spec.resources.disk_mb) * 1024 * 1024,
    })
    watchdog.ensure()
    const limited = [...limitedBy(host.prlimit, processLimits(spec.resources, host.hardLimits)), ...spec.command]
    const filter = openSync(host.filterPath, 'r')
    const child = await spawnChild({
      command: host.bwrap,
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
      name: marker,
      env: {},
      user,
      folder: '/',
      session: 'shared',
      pipes,
      extra: ['in', 'out', 'in'],
      files: [filter],
    }).finally(() => closeSync(filter))
    if (typeof child === 'string') throw new Error(child)
    const boundedFolder = spec.workspaceAccess === 'rw' ? spec.workspaceFolder : null
    const started = await bubblewrapProcess({
      child,
      group: spec.group,
      confirm,
      limits: { ...heldLimits(host.held), ...WALLS },
      cgroup,
      resources: spec.resources,
      boundedFolder,
      environment: environmentArguments(spec.env),
    })
    if (started.kind !== 'started' || boundedFolder !== null) return started
    // What processes hold open they could take from the whole host, whatever folder they have.
    const held = { folder: null, bounds: folderBounds(spec.resources), processes: processFinder(cgroup, spec.group) }
    return { kind: 'started', process: boundFolder(started.process, held) }
  }

  return {
    runtime: 'bubblewrap',
    start,
    probe: () =>
      probeSandbox({
        start,
        folders: [options.cacheRoot, options.sessionRoot ?? options.cacheRoot],
        explain: explainBubblewrap,
        sees: 'host',
        holds: async () => {
          const { held, missing } = await describeHost()
          return { holds: [...held], missing }
        },
      }),
  }
}
