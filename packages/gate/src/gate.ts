import type { Pool, RunEvent, RunJob } from '@muster/contracts'
import type { Admission } from '@muster/core'
import type { Queue } from 'bullmq'
import type { GateConfig, GateLoad, PoolCapacities } from './gate-config.ts'
import type { GateClassStats, GateExplanation, GateMiscount, GatePoolCounts, GateRun, GateSlot } from './gate-facts.ts'
import type { GateHolding, GateKeep, GateOffer, GateRelease, GateStart } from './gate-offer.ts'
import type { GateAnswer, GateReply, Released } from './gate-reply.ts'

/**
 * The fair gate of a fleet, and the fleet's queues and live events. Each method is one script, idempotent and safe to repeat but `load`;
 * each rejects with `GateUnavailable` when Redis does not answer in time. A script that gives a slot adds the BullMQ job that carries it.
 */
export type Gate = {
  /** True as soon as Redis is connected; false when it is not within the time. */
  connected(timeoutMs: number): Promise<boolean>
  /** Whether calls over each connection are made, or fail at once because Redis did not answer lately. */
  breakers(): Readonly<Record<'scripts' | 'live', 'closed' | 'open'>>

  /** Parks runs (or lets those not yet due wait for their time). A run that the gate knows in any state is left as it is. */
  offer(offers: readonly GateOffer[]): Promise<GateReply>
  /** Forgets runs that wait or are reserved; a started one is left alone. */
  withdraw(runIds: readonly string[]): Promise<GateReply>
  /** Gives every free slot that may be given. */
  next(): Promise<GateReply>
  /**
   * Makes reserved slots started ones of a node: the first node wins and may ask again. Refused for another node or admission, and when
   * a node on the path is paused (the run then goes back to the head of its class). `outcomes` are in the order asked.
   */
  start(
    starts: readonly GateStart[],
    nodeId: string,
  ): Promise<GateAnswer<{ readonly outcomes: readonly ('started' | 'refused')[] }>>
  /**
   * Frees the slots of exactly these admissions, then parks the offers, then gives what is free: first, as far as `keep` says, to the node
   * that asks, which has them started with this call, then by jobs as ever.
   */
  release(
    releases: readonly GateRelease[],
    offers: readonly GateOffer[],
    keep?: GateKeep | null,
  ): Promise<GateReply<Released>>
  /**
   * The tick's share: expired reservations go back to the head of their class, due runs are parked, tags accrue, idle nodes are forgotten.
   * Of due runs more than a thousand are parked, so that who became due last waits little for who became due before; no one script parks many.
   */
  sweep(): Promise<GateReply<{ readonly expired: number; readonly promoted: number }>>
  /** Applies what is newer than the gate's own. `applied` counts the entries that were. */
  configure(entries: readonly GateConfig[]): Promise<GateReply<{ readonly applied: number }>>
  /** Replaces the capacities of all pools. */
  setCapacities(capacities: PoolCapacities): Promise<GateReply>
  /** Gives running runs a started slot of their stored admission, over any limit, unless they have one of that admission or a newer. */
  restore(holdings: readonly GateHolding[]): Promise<GateReply<{ readonly restored: readonly string[] }>>
  /**
   * Starts a new epoch from what Postgres holds. Refused when the gate ever saw that epoch or a higher one. Sent once and never repeated
   * by itself: without an answer, begin again with a new epoch.
   */
  load(load: GateLoad): Promise<'loaded' | 'refused'>

  /** Whether the gate is warm, and the epoch it holds (null: none). Postgres' own epoch must be the same. */
  state(): Promise<{ readonly warm: boolean; readonly epoch: number | null }>
  /** Why a run waits; null when the gate does not know it. O(log n). */
  explain(runId: string): Promise<GateAnswer<{ readonly explanation: GateExplanation | null }>>
  /** What the gate knows of each run, in the order asked. */
  lookup(runIds: readonly string[]): Promise<GateAnswer<{ readonly runs: readonly GateRun[] }>>
  /** Those of the runs that the gate does not know in any state, in the order asked: what `lookup` says of many at less cost. */
  unknown(runIds: readonly string[]): Promise<GateAnswer<{ readonly runIds: readonly string[] }>>
  /** What each class has running and waiting, in the order asked. */
  classStats(classKeys: readonly string[]): Promise<GateAnswer<{ readonly classes: readonly GateClassStats[] }>>
  /** The numbers of every pool. */
  counts(): Promise<GateAnswer<{ readonly pools: Readonly<Record<Pool, GatePoolCounts>> }>>
  /**
   * How many waiting runs of each pool could start if it had slots without end, so those that no limit and no pause holds back. At least
   * as many where more than 1,000 nodes have work.
   */
  demand(): Promise<GateAnswer<{ readonly startable: Readonly<Record<Pool, number>> }>>
  /** A page of the slots, by admission. Begin with null; `cursor` null means that there is no more. */
  audit(
    cursor: Admission | null,
  ): Promise<GateAnswer<{ readonly slots: readonly GateSlot[]; readonly cursor: Admission | null }>>
  /** A page of all runs that the gate knows in any state, for the slow check against Postgres. Begin with '0'; '0' ends it. May repeat runs. */
  scanRuns(cursor: string): Promise<GateAnswer<{ readonly runIds: readonly string[]; readonly cursor: string }>>
  /** Counts every slot anew and names the nodes and pools whose numbers differ or exceed their limit. O(slots); for operators. */
  recount(): Promise<GateAnswer<{ readonly slots: number; readonly miscounts: readonly GateMiscount[] }>>
  /** Removes what earlier epochs left behind; `load` begins it by itself. Answers the number of keys removed. */
  sweepOldEpochs(): Promise<number>

  /** The BullMQ queue of each pool, to look at (Bull Board). Jobs are added by the scripts only. */
  queues(): readonly Queue[]
  /** Takes a pool's jobs. `process` is never called twice at once for one job id unless BullMQ redelivers it. */
  consume(pool: Pool, options: ConsumeOptions): JobConsumer

  readonly live: LiveEvents
  /** Hints to every worker that a run's cancel was asked. */
  cancelWake(runId: string): Promise<void>
  /** Calls back with the run id of each such hint; answers the way to stop. */
  onCancel(callback: (runId: string) => void): () => void

  /** Closes every connection; calls on their way reject. Consumers are closed by their owner first. */
  close(): Promise<void>
}

export type ConsumeOptions = {
  /** Jobs at once. */
  readonly concurrency: number
  /**
   * A job is done when this settles, however it does. One that goes on to another run, which its node kept when it released the first,
   * says so by `carries`.
   */
  readonly process: (job: RunJob, carries: (next: RunJob) => void) => Promise<void>
}

/** Takes jobs of one pool until it is closed. */
export type JobConsumer = {
  /** Takes no more jobs; those in hand go on, and one that is on its way may still arrive. */
  pause(): Promise<void>
  resume(): void
  /** Takes no more jobs and answers when those in hand have settled, at the latest about a second after `drainMs`. */
  close(drainMs: number): Promise<void>
}

/** Carries numbered events to those who read their runs at this moment. Nothing is kept: what a reader misses, Postgres has. */
export type LiveEvents = {
  /** Shows events, of any runs, to their readers; those of one run in order. Sends nothing while nobody in the fleet reads any. */
  publish(events: readonly RunEvent[]): Promise<void>
  /**
   * Calls back with the events of one run as they are shown, and with none whenever some may have been missed: once the subscription
   * stands, and after every reconnect. Answers the way to stop.
   */
  subscribe(runId: string, onEvents: (events: readonly RunEvent[]) => void): () => void
}
