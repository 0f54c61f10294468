import type { ErrorCode } from '@muster/contracts'
import type { ClaimedRun } from '@muster/store'

/** Why a run was brought back: its worker was lost, a drain handed it back, or the gate had not heard of it. */
export type RecoveryCause = 'lost' | 'handed_back' | 'offer_lost'

/**
 * Told of what the engine does, for whoever counts. Each function is called on a hot path: it must be quick and must not throw. Whoever
 * does not care leaves it out.
 */
export type EngineReport = {
  accepted(command: {
    readonly outcome: 'accepted' | 'deduplicated' | ErrorCode
    readonly seconds: number
    readonly workspaceId: string
    /** Null where the command named no agent that is there. */
    readonly agentKey: string | null
  }): void
  claimed(run: ClaimedRun): void
  recovered(cause: RecoveryCause, runs: number): void
  /** Slots that had no run were freed. */
  leaked(slots: number): void
  /** Running runs got a slot back. */
  restored(slots: number): void
  wrote(events: number): void
  duty(done: { readonly name: string; readonly outcome: 'done' | 'failed'; readonly seconds: number }): void
  rebuilt(outcome: string): void
}
