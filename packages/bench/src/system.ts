import type { Program } from './fleet/program.ts'
import type { Target } from './load/load.ts'

export type SystemOptions = {
  /** Jobs at once in one worker. */
  readonly concurrency: number
  /** Connections to Postgres of each process. */
  readonly poolSize: number
  /** How long each run lasts; by default it ends at once. */
  readonly runMs?: number
}

/** What is measured: Muster, or the baseline that it is compared with. */
export type System = {
  /** Where commands go. */
  readonly target: Target
  readonly databaseUrl: string
  /** Starts the worker process; the caller stops it. */
  startWorker(): Promise<Program>
  /**
   * Sees to it that commands are queued and none starts, with everything up that takes part in queueing; answers the process that is to be
   * killed afterwards, if any.
   */
  keepWaiting(): Promise<Program | null>
  /** The number of runs that ended. */
  ended(): Promise<number>
  /** From the first start to the last end, by the clock of Postgres. */
  drainSeconds(): Promise<number>
  /** When the work of each run began, in milliseconds since 1970. */
  begins(): Promise<readonly { readonly id: string; readonly began_at_ms: number }[]>
  /** When the first run ended after this one was accepted, in milliseconds since 1970; null when none did. */
  firstEndAfter(id: string): Promise<number | null>
  stop(): Promise<void>
}
