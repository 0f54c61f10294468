import { setTimeout as delay } from 'node:timers/promises'
import type { AttemptLimits, Usage } from '@muster/contracts'
import { AppError, type AttemptOutcome, addUsage, NO_USAGE } from '@muster/core'
import type { EventWriter } from '@muster/engine'
import type { Tracing } from '@muster/runtime'
import {
  type AgentExecution,
  type AgentOutcome,
  killGroup,
  runAgent,
  type Sandbox,
  type SessionFolders,
} from '@muster/sandbox'
import type { ClaimedRun } from '@muster/store'
import { type AgentFolders, type AgentFoldersParts, openAgentFolders } from './agent-folders.ts'
import { HAND_BACKS_MAX } from './hand-backs.ts'
import { startNoop } from './noop-runner.ts'
import { startMessage } from './start-message.ts'

const ASK_AGAIN_MS = 250

type FailureCode = 'sandbox_unavailable' | 'bundle_unavailable' | 'internal_error'

export type ExecutionParts = {
  readonly sandboxes: ReadonlyMap<string, Sandbox>
  readonly folders: SessionFolders
  readonly agentFolders: AgentFoldersParts
  readonly writer: EventWriter
  readonly hostIdentity: string
  /** Asked after the sandbox can be found and before its program begins. */
  readonly holds: (run: ClaimedRun) => Promise<boolean>
  readonly onStarted: (run: ClaimedRun, seconds: number) => void
  /** Why no sandbox of the pool begins on this node; null when one does. */
  readonly faultOf: (pool: string) => Promise<string | null>
  readonly tracing: Tracing
  /** Whether the pool `none` runs nothing: for benchmarks only. */
  readonly noop: boolean
}

/** Why an execution is to stop before the agent ends by itself. */
export type StopCause =
  | { readonly kind: 'cancel'; readonly reason: string; readonly graceMs: number }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'hand_back'; readonly graceMs: number }
  /** The run is no longer ours: nothing more is written for it. */
  | { readonly kind: 'lost' }

export type ExecutionEnd =
  | {
      readonly kind: 'ended'
      readonly outcome: AttemptOutcome
      /** Of the run so far. */
      readonly usage: Usage
      /** Of this attempt. */
      readonly used: Usage
      readonly limits: AttemptLimits
    }
  | { readonly kind: 'abandoned' }

/** One attempt in its sandbox, from the claim to the empty sandbox. */
export class Execution {
  readonly run: ClaimedRun
  readonly #parts: ExecutionParts
  readonly #traceparent: string | null
  #agent: AgentExecution | null = null
  #cause: StopCause | null = null
  #progressed = false
  #openedFolder = false
  #timer: NodeJS.Timeout | undefined

  /** `traceparent`: the span that the attempt belongs to. */
  constructor(run: ClaimedRun, parts: ExecutionParts, traceparent: string | null) {
    this.run = run
    this.#traceparent = traceparent
    this.#parts = parts
  }

  /** Whether the agent has shown an event in this attempt. */
  get progressed(): boolean {
    return this.#progressed
  }

  /** Whether this attempt or an earlier one may have made the run a folder. */
  get mayHaveFolder(): boolean {
    return this.#openedFolder || this.run.attempt_number > 1
  }

  /** The first cause counts, but `lost` overrides all. */
  stop(cause: StopCause): void {
    if (this.#cause !== null && cause.kind !== 'lost') return
    this.#cause = cause
    this.#apply(cause)
  }

  /** Runs the attempt; rejects never. */
  async execute(): Promise<ExecutionEnd> {
    this.#timer = setTimeout(() => this.stop({ kind: 'timeout' }), this.run.timeout_ms)
    try {
      return await this.#execute()
    } catch (error) {
      await this.#agent?.stop().catch(() => undefined)
      if (this.#cause?.kind === 'lost') return { kind: 'abandoned' }
      const message = error instanceof Error ? error.message : String(error)
      return this.#agent === null ? this.#notBegun('internal_error', message) : this.#failed('internal_error', message)
    } finally {
      clearTimeout(this.#timer)
      this.#parts.writer.forget(this.run.run_id, this.run.generation)
    }
  }

  async #execute(): Promise<ExecutionEnd> {
    const { run } = this
    const span = this.#parts.tracing.begin(`invoke_agent ${run.agent_key}`, {
      kind: 'internal',
      parent: this.#traceparent,
      attributes: {
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.agent.name': run.agent_key,
        'muster.run_id': run.run_id,
      },
    })
    const end = await this.#attempt(span.traceparent).catch((error: unknown) => {
      span.end('error')
      throw error
    })
    span.end(end.kind === 'ended' && end.outcome.kind !== 'failed' && end.outcome.kind !== 'timed_out' ? 'ok' : 'error')
    return end
  }

  async #attempt(traceparent: string | null): Promise<ExecutionEnd> {
    const { run } = this
    const { sandboxes, agentFolders } = this.#parts
    if (this.#parts.noop && run.policy.runtime_type === 'none') return this.#noop()
    const folder = run.session_id ?? run.run_id
    // first of all: of an attempt that reports its end the next one takes it that nothing older is left
    if ((await this.#clearEarlier(folder)) === 'refused') return this.#stoppedBeforeStart()
    const sandbox = sandboxes.get(run.policy.runtime_type)
    if (sandbox === undefined)
      return this.#notBegun('sandbox_unavailable', `this node has no ${run.policy.runtime_type}`)
    const shown = await openAgentFolders(run, agentFolders, (question) => this.#ask(question))
    if (shown.kind === 'absent') return this.#failed('bundle_unavailable', shown.reason)
    if (shown.kind === 'stopped') return this.#stoppedBeforeStart()
    try {
      return await this.#runIn(sandbox, folder, shown.folders, traceparent)
    } finally {
      await shown.folders.remove()
    }
  }

  async #runIn(
    sandbox: Sandbox,
    folder: string,
    shown: AgentFolders,
    traceparent: string | null,
  ): Promise<ExecutionEnd> {
    const { run } = this
    const begun = performance.now()
    const starting = this.#parts.tracing.begin('sandbox.start', {
      kind: 'internal',
      parent: traceparent,
      attributes: { 'muster.pool': run.policy.runtime_type },
    })
    const started = await sandbox.start(
      {
        group: { runId: run.run_id, sessionId: run.session_id, generation: run.generation },
        command: run.config.command,
        env: { ...run.config.env, ...(traceparent === null ? {} : { TRACEPARENT: traceparent }) },
        files: run.config.files ?? {},
        bundleFolder: shown.bundle,
        attachmentsFolder: shown.attachments,
        workspaceFolder: await this.#openFolder(folder),
        workspaceAccess: run.policy.workspace_access,
        network: run.policy.network_enabled,
        resources: run.policy.resources,
        required: run.policy.named_resources ?? [],
      },
      () => this.#mayStart(),
    )
    starting.end(started.kind === 'failed' ? 'error' : 'ok')
    if (started.kind === 'failed') return this.#notBegun('sandbox_unavailable', started.reason)
    if (started.kind === 'refused') return this.#stoppedBeforeStart()
    const { process } = started
    this.#parts.onStarted(run, (performance.now() - begun) / 1000)
    // the time limit is the program's: what is still written for it afterwards does not make it late
    const disarm = () => clearTimeout(this.#timer)
    process.exited.then(disarm, disarm)
    const agent = runAgent({
      process,
      start: startMessage(run),
      onEvents: (events) => this.#write(events),
    })
    return this.#watch(agent, process.limits)
  }

  #noop(): Promise<ExecutionEnd> {
    return this.#watch(
      startNoop(this.run.message, (events) => this.#write(events)),
      {},
    )
  }

  async #watch(agent: AgentExecution, limits: AttemptLimits): Promise<ExecutionEnd> {
    this.#agent = agent
    if (this.#cause !== null) this.#apply(this.#cause)
    const outcome = await agent.outcome
    // A fenced attempt writes nothing more, and the sandbox is empty by now.
    if (this.#cause?.kind === 'lost') return { kind: 'abandoned' }
    return this.#ended(this.#judge(outcome), outcome.usage, limits)
  }

  async #mayStart(): Promise<boolean> {
    const holds = await this.#ask(() => this.#parts.holds(this.run))
    return holds === true && this.#cause === null
  }

  /**
   * Asks until Postgres answers: while it is away nothing is known, so nothing starts and no try is charged. Null when there is a cause
   * to stop first.
   */
  async #ask<T>(question: () => Promise<T>): Promise<T | null> {
    while (this.#cause === null) {
      try {
        return await question()
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'unavailable') throw error
        await delay(ASK_AGAIN_MS)
      }
    }
    return null
  }

  async #openFolder(name: string): Promise<string | null> {
    if (this.run.policy.workspace_access === 'none') return null
    this.#openedFolder = true
    return this.#parts.folders.open(name)
  }

  /** Kills what an earlier attempt left where it can be reached; elsewhere gives the session a copy of its folder. */
  async #clearEarlier(folder: string): Promise<'cleared' | 'refused'> {
    const { previous, session_id, run_id, losses } = this.run
    if (previous === null || previous.status === 'succeeded') return 'cleared'
    // one that was lost may itself have been lost before it cleared what came before it, on a host that is out of reach
    const isAlone = previous.status !== 'lost' || (previous.run_id === run_id && losses < 2)
    if (previous.host_identity === this.#parts.hostIdentity) {
      const killed = await killGroup(session_id === null ? { runId: run_id } : { sessionId: session_id })
      if (killed.kind === 'gone' && isAlone) return 'cleared'
    }
    if (previous.status !== 'lost' && previous.status !== 'running' && previous.status !== 'cancelled') return 'cleared'
    if (this.run.policy.workspace_access === 'none') return 'cleared'
    const replaced = await this.#parts.folders.replace(folder, () => this.#mayStart())
    if (replaced.kind === 'failed') throw new Error(`the session's folder could not be replaced: ${replaced.reason}`)
    return replaced.kind === 'refused' ? 'refused' : 'cleared'
  }

  async #write(events: Parameters<EventWriter['write']>[2]): Promise<readonly number[]> {
    this.#progressed = true
    const { fenced, snapshots } = await this.#parts.writer.write(this.run.run_id, this.run.generation, events)
    if (fenced) this.stop({ kind: 'lost' })
    return snapshots
  }

  #apply(cause: StopCause): void {
    const agent = this.#agent
    if (agent === null) return
    switch (cause.kind) {
      case 'cancel':
        void agent.cancel(cause.reason, cause.graceMs)
        return
      case 'timeout':
        void agent.cancel('timeout', 0)
        return
      case 'hand_back':
        void agent.cancel('drain', cause.graceMs)
        return
      case 'lost':
        void agent.stop()
        return
    }
  }

  #judge(outcome: AgentOutcome): AttemptOutcome {
    const { exitCode } = outcome
    if (outcome.kind === 'succeeded')
      return { kind: 'succeeded', output: outcome.output, outputTruncated: outcome.outputTruncated, exitCode }
    if (outcome.kind === 'failed' && this.#cause?.kind !== 'hand_back')
      return { kind: 'failed', failure: outcome.failure, exitCode }
    return this.#stopped(exitCode)
  }

  #stopped(exitCode: number | null): AttemptOutcome {
    switch (this.#cause?.kind) {
      case 'cancel':
        return { kind: 'cancelled', reason: this.#cause.reason, exitCode }
      case 'timeout':
        return { kind: 'timed_out', timeoutMs: this.run.timeout_ms, exitCode }
      case 'hand_back':
        return { kind: 'handed_back', progressed: this.#progressed }
      default:
        return {
          kind: 'failed',
          failure: { code: 'agent_exit', message: 'the agent was stopped', retryable: true },
          exitCode,
        }
    }
  }

  #stoppedBeforeStart(): ExecutionEnd {
    if (this.#cause === null || this.#cause.kind === 'lost') return { kind: 'abandoned' }
    return this.#ended(this.#stopped(null))
  }

  /** The agent did not begin. Where the node is at fault, which then takes no more of the pool, that is no try: another may run it. */
  async #notBegun(code: FailureCode, reason: string): Promise<ExecutionEnd> {
    const fault = await this.#parts.faultOf(this.run.policy.runtime_type)
    if (fault === null || this.run.hand_backs >= HAND_BACKS_MAX) return this.#failed(code, reason)
    if (this.#cause !== null) return this.#stoppedBeforeStart()
    return this.#ended({ kind: 'handed_back', progressed: false })
  }

  #failed(code: FailureCode, message: string): ExecutionEnd {
    return this.#ended({ kind: 'failed', failure: { code, message, retryable: true }, exitCode: null })
  }

  #ended(outcome: AttemptOutcome, usage: Usage = NO_USAGE, limits: AttemptLimits = {}): ExecutionEnd {
    const before = this.run.usage ?? NO_USAGE
    const total = usage.by_model.reduce(
      (sum, line) => addUsage(sum, { ...line, provider: line.provider ?? undefined, model: line.model ?? undefined }),
      before,
    )
    return { kind: 'ended', outcome, usage: total, used: usage, limits }
  }
}
