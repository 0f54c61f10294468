import { stat } from 'node:fs/promises'
import { GROUP_MOUNTS } from './find-sandboxes.ts'
import type { HostPath } from './host-system.ts'
import { MASKED_FILES, MASKED_FOLDERS } from './masked-paths.ts'
import type { SandboxSpec } from './sandbox.ts'
import { PLACES, sandboxEnvironment } from './sandbox-places.ts'

const { home: HOME, workspace: WORKSPACE, agent: AGENT_FILES, attachments: ATTACHMENTS, node: NODE } = PLACES

/** Whom an agent sees itself as. */
export const BUBBLEWRAP_ACCOUNT = { uid: 1000, gid: 1000 }
const AGENT_ID = String(BUBBLEWRAP_ACCOUNT.uid)

export type Layout = {
  readonly marker: string
  /** What shows the host's programs. */
  readonly system: readonly HostPath[]
  readonly masks: readonly string[]
  readonly nodePath: string
  /** The folder behind `/agent`, or null for an empty one. */
  readonly filesFolder: string | null
  /** Bound of each private file system in memory: `/tmp`, home, `/dev/shm` and a workspace of access `none`. */
  readonly scratchBytes: number
}

/**
 * Everything that confines a sandbox, as one argument list. Only the environment travels apart from it, through a pipe,
 * since arguments are visible to every user of the host; a list cut short can so at worst lose variables.
 */
export function bubblewrapArguments(spec: SandboxSpec, layout: Layout): string[] {
  const scratch = (path: string, mode: string) => [
    '--perms',
    mode,
    '--size',
    String(layout.scratchBytes),
    '--tmpfs',
    path,
  ]
  return [
    ...['--unshare-user', '--unshare-ipc', '--unshare-pid', '--unshare-uts', '--unshare-cgroup-try'],
    ...(spec.network ? [] : ['--unshare-net']),
    ...['--uid', AGENT_ID, '--gid', AGENT_ID, '--disable-userns', '--die-with-parent', '--new-session'],
    ...['--hostname', 'sandbox', '--clearenv'],
    ...layout.system.flatMap((path) =>
      path.kind === 'bind' ? ['--ro-bind', path.from, path.to] : ['--symlink', path.target, path.at],
    ),
    ...['--proc', '/proc', ...layout.masks, '--dev', '/dev', ...scratch('/dev/shm', '1777'), '--remount-ro', '/dev'],
    ...scratch('/tmp', '1777'),
    ...scratch(HOME, '0755'),
    ...['--size', '4096', '--tmpfs', `${GROUP_MOUNTS}/${layout.marker}`],
    ...['--remount-ro', `${GROUP_MOUNTS}/${layout.marker}`],
    ...['--ro-bind', layout.nodePath, `${NODE}/node`],
    ...(layout.filesFolder === null ? ['--dir', AGENT_FILES] : ['--ro-bind', layout.filesFolder, AGENT_FILES]),
    ...(spec.attachmentsFolder === null ? [] : ['--ro-bind', spec.attachmentsFolder, ATTACHMENTS]),
    ...workspaceArguments(spec, scratch(WORKSPACE, '0755')),
    ...['--remount-ro', '/', '--chdir', WORKSPACE],
  ]
}

function workspaceArguments(spec: SandboxSpec, empty: readonly string[]): readonly string[] {
  if (spec.workspaceFolder === null || spec.workspaceAccess === 'none') return empty
  return [spec.workspaceAccess === 'rw' ? '--bind' : '--ro-bind', spec.workspaceFolder, WORKSPACE]
}

/** Whether anybody but the owner, which is the host's root and so nobody in a sandbox, may read something. */
const READABLE = 0o044

/**
 * Hides what this host's /proc has of the paths to hide; each costs a mount, so what only root may read is left to the kernel. A
 * device that is bound without the right to devices cannot be opened.
 */
export async function maskArguments(): Promise<string[]> {
  const readable = async (paths: readonly string[]) => {
    const modes = await Promise.all(
      paths.map((path) =>
        stat(path).then(
          ({ mode }) => mode,
          () => 0,
        ),
      ),
    )
    return paths.filter((_, index) => ((modes[index] ?? 0) & READABLE) !== 0)
  }
  const [files, folders] = await Promise.all([readable(MASKED_FILES), readable(MASKED_FOLDERS)])
  return [
    ...files.flatMap((path) => ['--ro-bind', '/dev/null', path]),
    ...folders.flatMap((path) => ['--perms', '0555', '--size', '4096', '--tmpfs', path, '--remount-ro', path]),
  ]
}

/** The arguments that go through the pipe, each ended by NUL. */
export function environmentArguments(env: Readonly<Record<string, string>>): string {
  return Object.entries(sandboxEnvironment(env))
    .map(([name, value]) => `--setenv\0${name}\0${value}\0`)
    .join('')
}
