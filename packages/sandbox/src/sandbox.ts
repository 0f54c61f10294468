import type { Readable } from 'node:stream'
import type { AttemptLimits, Policy, Pool, ResourceName, Resources } from '@muster/contracts'
import type { SandboxGroup } from './sandbox-group.ts'

/** Everything that one attempt needs of its sandbox. Paths are absolute host paths. */
export type SandboxSpec = {
  readonly group: SandboxGroup
  readonly command: readonly string[]
  /** The agent's own variables; they win over the sandbox's defaults (PATH, HOME, LANG and the like). */
  readonly env: Readonly<Record<string, string>>
  /** Relative path -> text; read-only at `/agent`. */
  readonly files: Readonly<Record<string, string>>
  /** A folder shown read-only at `/agent` instead of `files`, or null. */
  readonly bundleFolder: string | null
  /** A folder shown read-only at `/attachments`, or null for none. */
  readonly attachmentsFolder: string | null
  /** The session's folder, shown at `/workspace` as `workspaceAccess` says; null behaves like access `none`. */
  readonly workspaceFolder: string | null
  readonly workspaceAccess: Policy['workspace_access']
  /** True shares the host's network; false leaves a loopback of its own. */
  readonly network: boolean
  readonly resources: Resources
  /** The resources that somebody asked for by name: a sandbox that cannot hold one of them does not start. */
  readonly required: readonly ResourceName[]
}

/** A limit that the program ran into, as the kernel or the measure of its folder saw it. */
export type LimitBreach = { readonly resource: 'memory' | 'disk'; readonly detail: string }

/**
 * How a sandbox ended. `fault` says why the sandbox itself could not be set up; the agent then never ran. `breach` is null
 * unless a limit killed: for memory one of its processes at least, for disk the whole sandbox.
 */
export type SandboxExit = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly fault: string | null
  readonly breach: LimitBreach | null
}

export type StdinWriter = {
  /** Resolves once the pipe took the text, or `closed` when the agent no longer reads. Never rejects, never outlives the sandbox. */
  write(text: string): Promise<'written' | 'closed'>
  end(): void
}

/** A running sandbox. Its streams hold at most their pipe's buffers: a writer that nobody reads is made to wait. */
export type SandboxProcess = {
  /** The outermost host process of the sandbox. */
  readonly pid: number
  readonly stdin: StdinWriter
  readonly stdout: Readable
  readonly stderr: Readable
  /** Resolves when the agent's own process ended and no other process of the sandbox is left. Never rejects. */
  readonly exited: Promise<SandboxExit>
  /** How each demand of the policy is held. */
  readonly limits: AttemptLimits
  /** SIGKILLs the whole sandbox; resolves when every process of it is gone. Idempotent. */
  kill(): Promise<void>
}

export type StartOutcome =
  | { readonly kind: 'started'; readonly process: SandboxProcess }
  /** `confirm` answered false: the program never ran and nothing is left. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'failed'; readonly reason: string }

export type ProbeOutcome =
  /** `holds`: the resources that it can bound; `missing`: in words, why not the others. */
  | { readonly kind: 'usable'; readonly holds: readonly ResourceName[]; readonly missing: readonly string[] }
  | { readonly kind: 'unusable'; readonly reason: string }

/**
 * Asked once the sandbox can be found and killed by its group, and before its program begins. A caller that checks here
 * that it still owns the run cannot start a program behind the back of a later attempt, however long it was suspended.
 */
export type ConfirmStart = () => Promise<boolean>

/** A way to run a program apart from the host. One adapter per runtime. */
export type Sandbox = {
  readonly runtime: Pool
  /** Starts a trial sandbox and says whether this host can hold what the runtime promises, with the reason if not. */
  probe(): Promise<ProbeOutcome>
  /** Call from the main thread only: the sandbox dies with the thread that started it. */
  start(spec: SandboxSpec, confirm?: ConfirmStart): Promise<StartOutcome>
}
