import { access, chown, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AttemptLimits } from '@muster/contracts'
import { blockedAt } from './blocked-path.ts'
import { folderVariables } from './bubblewrap-arguments.ts'
import { createFileCache } from './file-cache.ts'
import { GROUP_VARIABLE } from './find-sandboxes.ts'
import { noneProcess } from './none-process.ts'
import { reachableNode } from './node-binary.ts'
import { groupMarker } from './sandbox-group.ts'
import { sandboxUserOf, type SandboxUser } from './sandbox-user.ts'
import { spawnChild } from './spawn-child.ts'
import type { ConfirmStart, ProbeOutcome, Sandbox, SandboxSpec, StartOutcome } from './sandbox.ts'

export type NoneOptions = {
  /** Where agents' files and throw-away working folders are kept. Every folder on the way must be passable for agents. */
  readonly cacheRoot: string
  /** Whom agents run as when the worker is root. */
  readonly user?: SandboxUser
  /** Default: the Node that runs this process. */
  readonly nodePath?: string
}

const LIMITS: AttemptLimits = {
  cpu: 'not_enforced',
  memory: 'not_enforced',
  pids: 'not_enforced',
  disk: 'not_enforced',
  network: 'not_enforced',
  workspace_access: 'not_enforced',
  host_files: 'not_enforced',
  host_processes: 'not_enforced',
  privileges: 'not_enforced',
}

const SETPRIV = '/usr/bin/setpriv'

/**
 * Runs each agent as a plain child process: for hosts that isolate whole workers, and for development. It promises a clean
 * environment, an unprivileged user when the worker is root, and death as a group. What it cannot: when the worker dies,
 * only the agent's first process is certain to die with it (with `setpriv`); its descendants last until `killGroup` finds
 * them, and one that sheds both its environment and its login session is not found.
 */
export function createNone(options: NoneOptions): Sandbox {
  const user = sandboxUserOf(options.user)
  const cache = createFileCache(options.cacheRoot)
  const scratchRoot = join(options.cacheRoot, 'none')

  let host: Promise<{ readonly nodePath: string; readonly launcher: readonly string[] }> | null = null
  function describeHost() {
    host ??= (async () => {
      await mkdir(scratchRoot, { recursive: true, mode: 0o755 })
      return {
        nodePath: await reachableNode(options.nodePath ?? process.execPath, options.cacheRoot, user),
        launcher: await access(SETPRIV).then(() => [SETPRIV, '--pdeathsig', 'KILL', '--no-new-privs', '--'], () => []),
      }
    })().catch((error: unknown) => {
      host = null
      throw error
    })
    return host
  }

  async function start(spec: SandboxSpec, confirm?: ConfirmStart): Promise<StartOutcome> {
    const marker = groupMarker(spec.group)
    const { nodePath, launcher } = await describeHost()
    // Stands for all that a sandbox would hold in memory: home, temporary files, an empty workspace.
    const scratch = await mkdtemp(join(scratchRoot, 'run-'))
    if (user !== null) await chown(scratch, user.uid, user.gid)
    const folders = {
      agent: await cache.folderOf(spec.files),
      attachments: spec.attachmentsFolder ?? '/nonexistent',
      workspace: (spec.workspaceAccess === 'none' ? null : spec.workspaceFolder) ?? scratch,
    }
    const gate = confirm === undefined ? [] : ['/bin/sh', '-c', 'read -r _ <&3 || exit 125; exec 3<&-; exec "$@"', 'sh']
    const command = [...launcher, ...gate, ...spec.command.map((argument) => hostPath(argument, folders))]
    const [program = '', ...rest] = command
    const child = await spawnChild({
      command: program,
      arguments: rest,
      name: program,
      env: {
        PATH: `${dirname(nodePath)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
        HOME: scratch,
        LANG: 'C.UTF-8',
        TMPDIR: scratch,
        ...folderVariables(folders),
        ...spec.env,
        [GROUP_VARIABLE]: marker,
      },
      user,
      folder: folders.workspace,
      session: 'own',
      extraPipes: confirm === undefined ? 0 : 1,
    })
    const discard = () => rm(scratch, { recursive: true, force: true }).catch(() => undefined)
    if (typeof child === 'string') {
      await discard()
      return { kind: 'failed', reason: child }
    }
    return await noneProcess({ child, group: spec.group, user, confirm, limits: LIMITS, discard })
  }

  async function probe(): Promise<ProbeOutcome> {
    await mkdir(options.cacheRoot, { recursive: true, mode: 0o755 })
    const blocked = await blockedAt(options.cacheRoot, user)
    if (blocked === null) return { kind: 'usable' }
    return { kind: 'unusable', reason: `agents run as user ${user?.uid} and cannot pass ${blocked}` }
  }

  return { runtime: 'none', start, probe }
}

/** A whole argument that is, or lies below, a folder of the sandbox stands for the host's folder behind it. */
function hostPath(argument: string, folders: { agent: string; attachments: string; workspace: string }): string {
  for (const [name, folder] of Object.entries(folders)) {
    if (argument === `/${name}`) return folder
    if (argument.startsWith(`/${name}/`)) return join(folder, argument.slice(name.length + 1))
  }
  return argument
}
