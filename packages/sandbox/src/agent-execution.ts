import type { Failure, FromAgent, JsonValue, ToAgent, Usage } from '@muster/contracts'
import type { AgentBounds } from './agent-bounds.ts'
import type { AgentEvent } from './agent-event.ts'
import type { SandboxProcess } from './sandbox.ts'

export type StartMessage = Extract<ToAgent, { type: 'start' }>

export type AgentTask = {
  readonly process: SandboxProcess
  readonly start: StartMessage
  /**
   * Takes events in order, one call at a time, and answers the numbers of the snapshots among them, of which the agent is told.
   * Until it resolves nothing more is read of the agent, which so is slowed to its pace.
   */
  readonly onEvents: (events: readonly AgentEvent[]) => Promise<readonly number[]>
  readonly bounds?: Partial<AgentBounds>
}

type Ending = { readonly usage: Usage; readonly exitCode: number | null }

/** How an agent ended, told once its sandbox is empty and, but for `stop`, every event was taken. */
export type AgentOutcome =
  | ({ readonly kind: 'succeeded'; readonly output: JsonValue; readonly outputTruncated: boolean } & Ending)
  | ({ readonly kind: 'failed'; readonly failure: Failure } & Ending)
  /** `cancel` or `stop` was called and the agent had given neither a result nor an error. */
  | ({ readonly kind: 'stopped'; readonly reason: string } & Ending)

export type AgentExecution = {
  /** Rejects only with what `onEvents` threw, after the sandbox was killed. */
  readonly outcome: Promise<AgentOutcome>
  /** `closed` when the agent can no longer read it. Never rejects. */
  write(message: ToAgent): Promise<'written' | 'closed'>
  /** Asks the agent to end, kills it after `graceMs`, and resolves when its sandbox is empty. A `result` given in time still counts. */
  cancel(reason: string, graceMs: number): Promise<void>
  /** Kills the agent and offers no further event, whatever it still had to say: for a run that is no longer ours. */
  stop(): Promise<void>
}

export type AgentMessage<Type extends FromAgent['type']> = Extract<FromAgent, { type: Type }>
