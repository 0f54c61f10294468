import { randomUUID } from 'node:crypto'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AttemptLimits, ResourceName } from '@muster/contracts'
import { type Cgroups, openCgroups } from '../cgroup/open-cgroups.ts'
import { diskBoundMissing } from '../disk/disk-bound.ts'
import { createFileCache } from '../file-cache.ts'
import { type HardLimits, readHardLimits } from '../hard-limits.ts'
import { heldLimits, unheldDemand } from '../held-limits.ts'
import { accountFiles, describeHostSystem, type HostSystem } from '../host-system.ts'
import { reachableNode } from '../node-binary.ts'
import { createPipes } from '../pipes.ts'
import { probeSandbox } from '../probe-sandbox.ts'
import { removeAbandoned } from '../remove-abandoned.ts'
import { runCommand } from '../run-command.ts'
import type { ConfirmStart, Sandbox, SandboxSpec, StartOutcome } from '../sandbox.ts'
import { groupMarker } from '../sandbox-group.ts'
import { admitUser, SHARED_USER } from '../sandbox-user.ts'
import { spawnChild } from '../spawn-child.ts'
import { createWatchdog } from '../watchdog.ts'
import { boundByRuntime } from './bound-by-runtime.ts'
import { OCI_LOG, ociProcess } from './oci-process.ts'
import { FIRST_PROCESSES, ociSpec } from './oci-spec.ts'
import { prepareRoot, type RootFileSystem, type RootSource } from './root-file-system.ts'
import { DRAFT } from './unpack-image.ts'

export type OciOptions = {
  /** The pool that it serves. */
  readonly runtime: 'runc' | 'gvisor'
  /** As for bubblewrap. */
  readonly cacheRoot: string
  readonly sessionRoot?: string
  readonly nodePath?: string
  readonly scratchMb?: number
  readonly cgroups?: 'auto' | 'hidden'
  /** The runtime's program. Default: `runc`, else `crun`, or `runsc`, in the usual folders. */
  readonly runtimePath?: string
  /** Default: the host's programs, read-only. */
  readonly root?: RootSource
}

const NEEDS_ROOT = 'an OCI runtime needs a worker that is root'

const WALLS: AttemptLimits = {
  network: 'enforced',
  workspace_access: 'enforced',
  host_files: 'enforced',
  host_processes: 'enforced',
  syscalls: 'enforced',
  privileges: 'enforced',
}

const PROGRAMS = { runc: ['runc', 'crun'], gvisor: ['runsc'] } as const
const FOLDERS = ['/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin', '/sbin', '/bin']

/** Waits for a line on the fourth descriptor; without one, because the worker is gone, no container is made. */
const GATE = 'read -r _ <&3 || exit 125; exec 3<&-; exec "$@"'

/**
 * Who sets the limits, and how many processes of the runtime are then inside them. runc makes the group itself and with
 * `--keep` leaves it to be read; crun and gVisor are put into one of ours and told to leave groups alone.
 */
const DIALECTS = {
  runc: { limits: 'runtime', before: [], run: ['--keep'], spareProcesses: 0 },
  crun: { limits: 'ours', before: ['--cgroup-manager=disabled'], run: [], spareProcesses: 3 },
  runsc: { limits: 'ours', before: ['--ignore-cgroups', '--network=none'], run: [], spareProcesses: 256 },
} as const

type Dialect = (typeof DIALECTS)[keyof typeof DIALECTS]

type OciHost = {
  readonly program: string
  readonly dialect: Dialect
  readonly system: HostSystem
  readonly root: RootFileSystem
  readonly nodePath: string
  readonly cgroups: Cgroups
  /** Why a limit on disk does not hold here, or null. */
  readonly unboundDisk: string | null
  readonly hardLimits: HardLimits
}

/** Runs each agent in a container of an OCI runtime, as a user of its own and without any capability. Needs root. */
export function createOci(options: OciOptions): Sandbox {
  const showsHost = options.root === undefined || options.root.kind === 'host'
  const cache = createFileCache(options.cacheRoot)
  const token = randomUUID()
  const states = join('/run/muster-oci', token)
  const bundles = join(options.cacheRoot, 'bundles')
  const pipes = createPipes(options.cacheRoot)
  let watchdog: ReturnType<typeof createWatchdog> | null = null
  let host: Promise<OciHost> | null = null
  let bound: ReadonlySet<ResourceName> | null = null

  function describeHost(): Promise<OciHost> {
    host ??= makeHost().catch((error: unknown) => {
      host = null
      throw error
    })
    return host
  }

  async function makeHost(): Promise<OciHost> {
    if (process.getuid?.() !== 0) throw new Error(NEEDS_ROOT)
    const program = options.runtimePath ?? (await firstProgram(PROGRAMS[options.runtime]))
    if (program === null) throw new Error(`not installed: ${PROGRAMS[options.runtime].join(' or ')}`)
    const dialect = await dialectOf(program)
    const [system, nodePath, cgroups] = await Promise.all([
      describeHostSystem(cache, SHARED_USER),
      reachableNode(options.nodePath ?? process.execPath, options.cacheRoot),
      openCgroups({ mode: options.cgroups ?? 'auto' }),
    ])
    const root = await prepareRoot(options.root ?? { kind: 'host' }, system, options.cacheRoot)
    await mkdir(bundles, { recursive: true, mode: 0o700 })
    await mkdir(states, { recursive: true, mode: 0o700 })
    await removeAbandoned(bundles, '')
    await removeAbandoned(join(options.cacheRoot, 'roots'), DRAFT)
    await cgroups.removeLeftovers()
    watchdog = createWatchdog(token, { runtime: program, states })
    const unboundDisk = diskBoundMissing()
    return { program, dialect, system, root, nodePath, cgroups, unboundDisk, hardLimits: readHardLimits() }
  }

  /** What sandboxes are bound in here; the probe has looked at what the runtime made of its limits. */
  async function held(): Promise<ReadonlySet<ResourceName>> {
    const { cgroups, unboundDisk } = await describeHost()
    const disk: readonly ResourceName[] = unboundDisk === null ? ['disk_mb'] : []
    return new Set([...(bound ?? cgroups.resources), ...disk])
  }

  async function start(spec: SandboxSpec, confirm?: ConfirmStart): Promise<StartOutcome> {
    try {
      const ready = await describeHost()
      const refusal = unheldDemand(spec.required, await held())
      if (refusal !== null) return { kind: 'failed', reason: refusal }
      await ready.system.keep()
      const id = groupMarker(spec.group, token).replaceAll(':', '+')
      const bundle = join(bundles, `${id}-${randomUUID()}`)
      try {
        return await launch(spec, ready, { id, bundle }, confirm)
      } catch (error) {
        await rm(bundle, { recursive: true, force: true }).catch(() => undefined)
        throw error
      }
    } catch (error) {
      return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
    }
  }

  async function launch(
    spec: SandboxSpec,
    ready: OciHost,
    { id, bundle }: { readonly id: string; readonly bundle: string },
    confirm: ConfirmStart | undefined,
  ): Promise<StartOutcome> {
    const user = await admitUser(spec)
    if (user === null) throw new Error(NEEDS_ROOT)
    const { dialect, program, root, cgroups } = ready
    const marker = groupMarker(spec.group)
    const name = groupMarker(spec.group, token)
    const byRuntime = dialect.limits === 'runtime'
    const config = ociSpec(spec, {
      marker,
      user,
      accounts: showsHost ? bundle : null,
      rootPath: root.path,
      system: spec.network ? root.networked : root.closed,
      nodePath: ready.nodePath,
      filesFolder: spec.bundleFolder ?? (await cache.folderOf(spec.files)),
      scratchBytes: Math.min(options.scratchMb ?? 256, spec.resources.disk_mb) * 1024 * 1024,
      cgroupsPath: byRuntime && cgroups.resources.size > 0 ? join('/muster', marker) : null,
      hardLimits: ready.hardLimits,
    })
    await mkdir(bundle, { mode: 0o700 })
    await writeFile(join(bundle, 'config.json'), JSON.stringify(config), { mode: 0o600 })
    if (showsHost)
      for (const [name, text] of Object.entries(accountFiles(user))) await writeFile(join(bundle, name), text)
    watchdog?.ensure()
    // the runtime makes the groups, and bounds nothing of what lies in sockets
    if (byRuntime) await cgroups.boundSockets(spec.group, spec.resources)
    const cgroup = byRuntime
      ? cgroups.adopt(spec.group)
      : await cgroups.open(spec.group, spec.resources, dialect.spareProcesses)
    const log = ['--log', join(bundle, OCI_LOG), '--log-format', 'json']
    const words = [program, '--root', states, ...log, ...dialect.before, 'run', ...dialect.run, '--bundle', bundle, id]
    const child = await spawnChild({
      command: '/bin/sh',
      arguments: ['-c', GATE, 'sh', ...words],
      name,
      env: { PATH: FOLDERS.join(':') },
      user: null,
      folder: '/',
      session: 'shared',
      pipes,
      extra: ['in'],
    })
    if (typeof child === 'string') {
      void cgroup.end()
      throw new Error(child)
    }
    return await ociProcess({
      child,
      spec,
      limits: { ...heldLimits(await held()), ...WALLS },
      container: { id, runtime: program, states, bundle },
      cgroup,
      prepare: async (pid) => {
        if (!byRuntime) await cgroup.join(pid)
      },
      confirm,
    })
  }

  return {
    runtime: options.runtime,
    start,
    probe: () =>
      probeSandbox({
        start,
        folders: [options.cacheRoot, options.sessionRoot ?? options.cacheRoot],
        explain: (complaint) => complaint,
        sees: showsHost ? 'host' : 'image',
        holds: async () => {
          const { cgroups, dialect, unboundDisk } = await describeHost()
          if (dialect.limits === 'runtime' && cgroups.resources.size > 0)
            bound = await boundByRuntime(start, cgroups, FIRST_PROCESSES)
          const missing = unboundDisk === null ? cgroups.missing : [...cgroups.missing, unboundDisk]
          return { holds: [...(await held())], missing }
        },
      }),
  }
}

async function firstProgram(names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    for (const folder of FOLDERS) {
      const path = join(folder, name)
      const found = await access(path).then(
        () => true,
        () => false,
      )
      if (found) return path
    }
  }
  return null
}

/** A runtime is known by the first word of what it says of itself, whatever its file is called. */
async function dialectOf(program: string): Promise<Dialect> {
  const { stdout } = await runCommand(program, ['--version'])
  const word = stdout.trimStart().split(/\s/, 1)[0] ?? ''
  const name = (['runc', 'crun', 'runsc'] as const).find((one) => one === word)
  if (name === undefined) throw new Error(`${program} is none of ${Object.keys(DIALECTS).join(', ')}`)
  return DIALECTS[name]
}
