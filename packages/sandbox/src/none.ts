import { access, chown, mkdir, mkdtemp } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AttemptLimits } from '@muster/contracts'
import { blockedAt } from './blocked-path.ts'
import { createFileCache } from './file-cache.ts'
import { GROUP_VARIABLE } from './find-sandboxes.ts'
import { folderVariables, type SandboxFolders } from './folder-variables.ts'
import { heldLimits, unheldDemand } from './held-limits.ts'
import { reachableNode } from './node-binary.ts'
import { noneProcess } from './none-process.ts'
import { createPipes } from './pipes.ts'
import { removeAbandoned } from './remove-abandoned.ts'
import { removeTree } from './remove-tree.ts'
import type { ConfirmStart, ProbeOutcome, Sandbox, SandboxSpec, StartOutcome } from './sandbox.ts'
import { groupMarker } from './sandbox-group.ts'
import { admitUser, type SandboxUser } from './sandbox-user.ts'
import { spawnChild } from './spawn-child.ts'
import { createWatchdog } from './watchdog.ts'

export type NoneOptions = {
  /** Where agents' files and throw-away working folders are kept. Every folder on the way must be passable for agents. */
  readonly cacheRoot: string
  /** Default: the Node that runs this process. */
  readonly nodePath?: string
}

const LIMITS: AttemptLimits = {
  ...heldLimits(new Set()),
  network: 'not_enforced',
  workspace_access: 'not_enforced',
  host_files: 'not_enforced',
  host_processes: 'not_enforced',
  syscalls: 'not_enforced',
  privileges: 'not_enforced',
}

const SCRATCH = 'run-'
const SETPRIV = '/usr/bin/setpriv'

/** Waits for a line on the third pipe; without one, because the worker is gone, the program does not begin. */
const GATE = ['/bin/sh', '-c', 'read -r _ <&3 || exit 125; exec 3<&-; exec "$@"', 'sh']

type NoneHost = { readonly nodePath: string; readonly launcher: readonly string[] }
type Prepared = NoneHost & {
  readonly user: SandboxUser | null
  readonly scratch: string
  readonly folders: SandboxFolders
  readonly discard: () => Promise<void>
}

/**
 * Runs each agent as a plain child process: for hosts that isolate whole workers, and for development. It promises a clean
 * environment, an unprivileged user when the worker is root, and death as a whole, with its worker too. What it cannot: a
 * descendant that sheds both its environment and its login session is not found.
 */
export function createNone(options: NoneOptions): Sandbox {
  const cache = createFileCache(options.cacheRoot)
  const watchdog = createWatchdog()
  const pipes = createPipes(options.cacheRoot)
  const scratchRoot = join(options.cacheRoot, 'none')

  let host: Promise<NoneHost> | null = null

  function describeHost(): Promise<NoneHost> {
    host ??= (async () => {
      await mkdir(scratchRoot, { recursive: true, mode: 0o755 })
      await removeAbandoned(scratchRoot, SCRATCH)
      return {
        nodePath: await reachableNode(options.nodePath ?? process.execPath, options.cacheRoot),
        launcher: await access(SETPRIV).then(
          () => [SETPRIV, '--pdeathsig', 'KILL', '--no-new-privs', '--'],
          () => [],
        ),
      }
    })().catch((error: unknown) => {
      host = null
      throw error
    })
    return host
  }

  async function start(spec: SandboxSpec, confirm?: ConfirmStart): Promise<StartOutcome> {
    const refusal = unheldDemand(spec.required, new Set())
    if (refusal !== null) return { kind: 'failed', reason: refusal }
    try {
      const prepared = await prepare(spec)
      try {
        return await launch(spec, prepared, confirm)
      } catch (error) {
        await prepared.discard()
        throw error
      }
    } catch (error) {
      return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
    }
  }

  async function prepare(spec: SandboxSpec): Promise<Prepared> {
    const agent = spec.bundleFolder ?? (await cache.folderOf(spec.files))
    const host = await describeHost()
    // Stands for all that a sandbox would hold in memory: home, temporary files, an empty workspace.
    const scratch = await mkdtemp(join(scratchRoot, SCRATCH))
    const user = await admitUser(spec)
    if (user !== null) await chown(scratch, user.uid, user.gid)
    const workspace = (spec.workspaceAccess === 'none' ? null : spec.workspaceFolder) ?? scratch
    const folders = { agent, attachments: spec.attachmentsFolder ?? '/nonexistent', workspace }
    return { ...host, user, scratch, folders, discard: () => removeTree(scratch).catch(() => undefined) }
  }

  async function launch(spec: SandboxSpec, prepared: Prepared, confirm?: ConfirmStart): Promise<StartOutcome> {
    const { folders, scratch, discard } = prepared
    const gate = confirm === undefined ? [] : GATE
    const words = [...prepared.launcher, ...gate, ...spec.command.map((argument) => hostPath(argument, folders))]
    const [program = '', ...rest] = words
    watchdog.ensure()
    const child = await spawnChild({
      command: program,
      arguments: rest,
      name: program,
      env: {
        PATH: `${dirname(prepared.nodePath)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
        HOME: scratch,
        USER: 'agent',
        LANG: 'C.UTF-8',
        TMPDIR: scratch,
        ...folderVariables(folders),
        ...spec.env,
        [GROUP_VARIABLE]: groupMarker(spec.group, watchdog.token),
      },
      user: prepared.user,
      folder: folders.workspace,
      session: 'own',
      pipes,
      extra: confirm === undefined ? [] : ['in'],
    })
    if (typeof child !== 'string') {
      return await noneProcess({ child, group: spec.group, confirm, limits: LIMITS, discard })
    }
    await discard()
    return { kind: 'failed', reason: child }
  }

  async function probe(): Promise<ProbeOutcome> {
    await mkdir(options.cacheRoot, { recursive: true, mode: 0o755 })
    const blocked = await blockedAt(options.cacheRoot)
    if (blocked === null) return { kind: 'usable', holds: [], missing: [] }
    return { kind: 'unusable', reason: `agents run as users of their own and cannot pass ${blocked}` }
  }

  return { runtime: 'none', start, probe }
}

/** A whole argument that is, or lies below, a folder of the sandbox stands for the host's folder behind it. */
function hostPath(argument: string, folders: SandboxFolders): string {
  for (const [name, folder] of Object.entries(folders)) {
    if (argument === `/${name}`) return folder
    if (argument.startsWith(`/${name}/`)) return join(folder, argument.slice(name.length + 1))
  }
  return argument
}
