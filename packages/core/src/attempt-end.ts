import type { AttemptLimits, AttemptStatus, Failure, JsonValue, RetryPolicy, RunStatus, Usage } from '@muster/contracts'
import { retryDelayMs } from './retry-delay.ts'

/** How an attempt came to its end, as the worker saw it. */
export type AttemptOutcome =
  | { kind: 'succeeded'; output: JsonValue; outputTruncated: boolean; exitCode: number | null }
  | { kind: 'failed'; failure: Failure; exitCode: number | null }
  | { kind: 'timed_out'; timeoutMs: number; exitCode: number | null }
  | { kind: 'cancelled'; reason: string; exitCode: number | null }
  | { kind: 'handed_back'; progressed: boolean }
  | { kind: 'lost'; reason: string }

/** What is known of the run while it is held: nobody else changes it. */
export type HeldRun = {
  readonly attemptCount: number
  readonly maxAttempts: number
  readonly losses: number
  readonly handBacks: number
  readonly retry: RetryPolicy
}

/** A move out of `running`, for the store to apply by compare-and-set on the generation. */
export type AttemptEnd = {
  readonly status: Exclude<RunStatus, 'running' | 'waiting'>
  readonly attemptStatus: Exclude<AttemptStatus, 'running'>
  /** 1 when the try counts against `max_attempts`. */
  readonly charge: 0 | 1
  readonly losses: number
  readonly handBacks: number
  /** Why the run is queued again; null when it ends. */
  readonly reason: 'retry' | 'handed_back' | 'lost' | null
  readonly delayMs: number
  /** Queue at the head of the class. */
  readonly front: boolean
  readonly output: JsonValue | undefined
  readonly outputTruncated: boolean
  readonly failure: Failure | null
  readonly exitCode: number | null
}

export type AttemptFacts = { readonly usage: Usage; readonly limits: AttemptLimits }

const LAST_LOSS = 5

/** Decides what an attempt's outcome makes of its run: an end, another try after a delay, or the head of its queue. */
export function endAttempt(run: HeldRun, outcome: AttemptOutcome, lossesMax: number = LAST_LOSS): AttemptEnd {
  const over = {
    charge: 0,
    losses: 0,
    handBacks: 0,
    reason: null,
    delayMs: 0,
    front: false,
    output: undefined,
    outputTruncated: false,
    failure: null,
    exitCode: null,
  } as const
  switch (outcome.kind) {
    case 'succeeded':
      return {
        ...over,
        status: 'succeeded',
        attemptStatus: 'succeeded',
        charge: 1,
        output: outcome.output,
        outputTruncated: outcome.outputTruncated,
        exitCode: outcome.exitCode,
      }
    case 'cancelled':
      return {
        ...over,
        status: 'cancelled',
        attemptStatus: 'cancelled',
        failure: { code: 'cancelled', message: outcome.reason, retryable: false },
        exitCode: outcome.exitCode,
      }
    case 'handed_back':
      return {
        ...over,
        status: 'queued',
        attemptStatus: 'handed_back',
        reason: 'handed_back',
        handBacks: outcome.progressed ? 1 : run.handBacks + 1,
        losses: run.losses,
        front: true,
      }
    case 'lost': {
      const failure = { code: 'worker_lost', message: outcome.reason, retryable: true }
      const losses = run.losses + 1
      const ends = losses >= lossesMax
      return {
        ...over,
        status: ends ? 'failed' : 'queued',
        attemptStatus: 'lost',
        reason: ends ? null : 'lost',
        losses,
        handBacks: run.handBacks,
        front: !ends,
        failure,
      }
    }
    case 'failed':
    case 'timed_out': {
      const tries = run.attemptCount + 1
      const failure =
        outcome.kind === 'failed'
          ? outcome.failure
          : { code: 'timed_out', message: `the attempt ran longer than ${outcome.timeoutMs} ms`, retryable: true }
      const again = failure.retryable && tries < run.maxAttempts
      return {
        ...over,
        status: again ? 'queued' : outcome.kind,
        attemptStatus: outcome.kind,
        charge: 1,
        reason: again ? 'retry' : null,
        delayMs: again ? retryDelayMs(run.retry, tries) : 0,
        failure,
        exitCode: outcome.exitCode,
      }
    }
  }
}
