import { cpuBound, pidsBound } from '../cgroup/cgroup-settings.ts'
import { FIRST_TO_GO } from '../cgroup/first-to-go.ts'
import { GROUP_MOUNTS } from '../find-sandboxes.ts'
import type { HardLimits } from '../hard-limits.ts'
import type { HostPath } from '../host-system.ts'
import { MASKED_FILES, MASKED_FOLDERS, READ_ONLY_PATHS } from '../masked-paths.ts'
import { processLimits } from '../process-limits.ts'
import type { SandboxSpec } from '../sandbox.ts'
import { PLACES, sandboxEnvironment } from '../sandbox-places.ts'
import type { SandboxUser } from '../sandbox-user.ts'
import { ociSeccomp } from './oci-seccomp.ts'

export type OciLayout = {
  readonly marker: string
  readonly user: SandboxUser
  /** The folder whose `passwd` and `group` name this user, to be shown over the host's; null where an image has its own. */
  readonly accounts: string | null
  readonly rootPath: string
  /** What of the host's programs is shown over the root. */
  readonly system: readonly HostPath[]
  readonly nodePath: string
  readonly filesFolder: string
  readonly scratchBytes: number
  /** Whether the runtime sets the limits, in the group of this path, or leaves groups alone. */
  readonly cgroupsPath: string | null
  readonly hardLimits: HardLimits
}

type OciMount = {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

const MIB = 1024 * 1024
const UMASK = 0o022
const SMALL_BYTES = 65_536
/** A machine has a few thousand for all that runs on it. */
const TERMINALS_MAX = 64

/** Those that are the container's and not the agent's. */
export const FIRST_PROCESSES = 1

/**
 * Runs the program as a child, since a first process ignores signals that it does not handle and has orphans to reap.
 * Its own complaints about how the child died are nobody's output.
 */
const FIRST_PROCESS_SCRIPT = 'exec 9>&2 2>/dev/null; (exec "$@" 2>&9 9>&-); exit $?'

/** The configuration of one container, by version 1.0 of the runtime specification. */
export function ociSpec(spec: SandboxSpec, layout: OciLayout) {
  const { user } = layout
  const none: string[] = []
  return {
    ociVersion: '1.0.2',
    hostname: 'sandbox',
    root: { path: layout.rootPath, readonly: true },
    process: {
      terminal: false,
      user: { uid: user.uid, gid: user.gid, umask: UMASK },
      args: ['/bin/sh', '-c', FIRST_PROCESS_SCRIPT, 'sh', ...spec.command],
      env: Object.entries(sandboxEnvironment(spec.env)).map(([name, value]) => `${name}=${value}`),
      cwd: PLACES.workspace,
      capabilities: { bounding: none, effective: none, inheritable: none, permitted: none, ambient: none },
      noNewPrivileges: true,
      oomScoreAdj: FIRST_TO_GO,
      rlimits: processLimits(spec.resources, layout.hardLimits).map(({ name, value }) => ({
        type: `RLIMIT_${name.toUpperCase()}`,
        hard: value,
        soft: value,
      })),
    },
    mounts: mountsOf(spec, layout),
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'cgroup', ...(spec.network ? [] : ['network'])].map((type) => ({
        type,
      })),
      maskedPaths: [...MASKED_FILES, ...MASKED_FOLDERS],
      readonlyPaths: READ_ONLY_PATHS,
      seccomp: ociSeccomp(),
      ...(layout.cgroupsPath === null
        ? {}
        : { cgroupsPath: layout.cgroupsPath, resources: resourcesOf(spec.resources) }),
    },
  }
}

function resourcesOf({ cpu, memory_mb, pids }: SandboxSpec['resources']) {
  return {
    cpu: cpuBound(cpu),
    // Memory and swap together, which leaves no swap.
    memory: { limit: memory_mb * MIB, swap: memory_mb * MIB },
    pids: { limit: pidsBound(pids, FIRST_PROCESSES) },
    devices: [{ allow: false, access: 'rwm' }],
  }
}

function mountsOf(spec: SandboxSpec, layout: OciLayout): OciMount[] {
  const { uid, gid } = layout.user
  const scratch = (destination: string, mode: string, ...more: string[]) =>
    memory(destination, [`mode=${mode}`, `size=${layout.scratchBytes}`, ...more])
  const own = ['0755', `uid=${uid}`, `gid=${gid}`] as const
  const { workspaceFolder, workspaceAccess } = spec
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', `size=${SMALL_BYTES}`] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', `max=${TERMINALS_MAX}`],
    },
    scratch('/dev/shm', '1777'),
    scratch('/tmp', '1777'),
    scratch(PLACES.home, ...own),
    memory('/run', ['mode=755', `size=${SMALL_BYTES}`]),
    memory(`${GROUP_MOUNTS}/${layout.marker}`, ['mode=755', 'size=4096', 'ro']),
    ...layout.system.flatMap((path) => (path.kind === 'bind' ? [bound(path.from, path.to, 'ro')] : [])),
    ...(layout.accounts === null
      ? []
      : ['passwd', 'group'].map((name) => bound(`${layout.accounts}/${name}`, `/etc/${name}`, 'ro'))),
    bound(layout.nodePath, `${PLACES.node}/node`, 'ro'),
    bound(layout.filesFolder, PLACES.agent, 'ro'),
    ...(spec.attachmentsFolder === null ? [] : [bound(spec.attachmentsFolder, PLACES.attachments, 'ro')]),
    workspaceFolder === null || workspaceAccess === 'none'
      ? scratch(PLACES.workspace, ...own)
      : bound(workspaceFolder, PLACES.workspace, workspaceAccess),
  ]
}

const memory = (destination: string, options: readonly string[]): OciMount => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'nodev', ...options],
})

const bound = (source: string, destination: string, access: 'ro' | 'rw'): OciMount => ({
  destination,
  type: 'bind',
  source,
  options: ['bind', 'nosuid', 'nodev', access],
})
