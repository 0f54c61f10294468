import type { RunJob } from '@muster/contracts'
import { endAttempt } from '@muster/core'
import { type EngineContext, type RunHolder, startSlot } from '@muster/engine'
import type { ClaimedRun, HeldPair } from '@muster/store'
import type { Beat } from './beat/start-beat.ts'
import { Execution, type ExecutionEnd, type ExecutionParts, type StopCause } from './execute-run.ts'

export type DeskOptions = {
  readonly context: EngineContext
  readonly holder: RunHolder
  readonly parts: ExecutionParts
  readonly beat: Beat
  readonly lossesMax: number
  readonly cancelGraceMs: number
  /** The node's id, or null while it has none: dead and not yet registered anew. */
  readonly nodeId: () => string | null
  /** Whether the node can serve a pool at this moment. */
  readonly serves: (pool: string) => boolean
  /** A claim was refused because the node is dead. */
  readonly onNodeDead: (nodeId: string) => void
  readonly onEnded: (run: ClaimedRun, end: ExecutionEnd, seconds: number) => void
}

/** Every job that this worker has in hand, from the job to the released slot. */
export class RunDesk {
  readonly #options: DeskOptions
  /** Each from its job to the last run that its place went on to. */
  readonly #places = new Set<Promise<void>>()
  /** By the job of each run in hand; resolves to what its place goes on to. */
  readonly #jobs = new Map<string, Promise<RunJob | null>>()
  readonly #executions = new Map<string, Execution>()
  readonly #clearings = new Set<Promise<void>>()
  #causeOf: (execution: Execution) => StopCause | null = () => null
  #closed = false

  constructor(options: DeskOptions) {
    this.#options = options
  }

  get executions(): readonly Execution[] {
    return [...this.#executions.values()]
  }

  /** Takes no more: a job that was on its way is dropped, and its run goes back to its head when its reservation runs out. */
  close(): void {
    this.#closed = true
  }

  /** Takes a job; one that is already in hand joins its run's execution, and not what the place goes on to. Never rejects. */
  async take(job: RunJob, carries: (next: RunJob) => void = () => undefined): Promise<void> {
    const known = this.#jobs.get(keyOfJob(job))
    if (known !== undefined) await known
    else if (!this.#closed) await this.#occupy(this.#workOn(job, carries))
  }

  /** Kills exactly the execution of this generation: the run is no longer ours. */
  lose(pair: HeldPair): void {
    this.#executions.get(keyOf(pair))?.stop({ kind: 'lost' })
  }

  cancel(pair: HeldPair, reason: string): void {
    this.#executions.get(keyOf(pair))?.stop({ kind: 'cancel', reason, graceMs: this.#options.cancelGraceMs })
  }

  stopAll(cause: StopCause): void {
    for (const execution of this.#executions.values()) execution.stop(cause)
  }

  /** Stops what runs, and what still begins: a claim may be on its way. */
  stopFromNowOn(causeOf: (execution: Execution) => StopCause | null): void {
    this.#causeOf = causeOf
    for (const execution of this.#executions.values()) this.#stopFor(execution)
  }

  #stopFor(execution: Execution): void {
    const cause = this.#causeOf(execution)
    if (cause !== null) execution.stop(cause)
  }

  /** Resolves when nothing is in hand any more. */
  async empty(): Promise<void> {
    while (this.#places.size > 0) await Promise.allSettled(this.#places)
    await Promise.allSettled(this.#clearings)
  }

  #occupy(work: Promise<void>): Promise<void> {
    const place = work.finally(() => this.#places.delete(place))
    this.#places.add(place)
    return place
  }

  /** The job's run, and then whatever its place is given to without another job. */
  async #workOn(job: RunJob, carries: (next: RunJob) => void): Promise<void> {
    const nodeId = this.#options.nodeId()
    if (nodeId === null) return
    const start = (started: RunJob) => startSlot(this.#options.context, started, nodeId)
    let next = await this.#inHand(job, this.#work(job, nodeId, start))
    while (next !== null) {
      carries(next)
      next = await this.#inHand(
        next,
        this.#work(next, nodeId, async () => 'started'),
      )
    }
  }

  #inHand(job: RunJob, work: Promise<RunJob | null>): Promise<RunJob | null> {
    const key = keyOfJob(job)
    const told = work.catch((error: unknown) => {
      this.#options.context.log.error({ err: error, ...job }, 'a job failed; its run is taken back by the reconciler')
      return null
    })
    const inHand = told.finally(() => this.#jobs.delete(key))
    this.#jobs.set(key, inHand)
    return inHand
  }

  async #work(
    job: RunJob,
    nodeId: string,
    start: (job: RunJob) => Promise<'started' | 'dropped'>,
  ): Promise<RunJob | null> {
    const { holder, beat } = this.#options
    const claiming = { runId: job.run_id, admission: job.admission }
    beat.claiming(claiming)
    try {
      if ((await start(job)) === 'dropped') return null
      const verdict = await holder.claim(job, nodeId)
      if (verdict.verdict === 'node_dead') this.#options.onNodeDead(nodeId)
      if (verdict.verdict !== 'claimed' && verdict.verdict !== 'mine') return null
      const { run } = verdict
      beat.hold({ runId: run.run_id, generation: run.generation })
      beat.claimed(claiming)
      return await this.#execute(run, nodeId)
    } finally {
      beat.claimed(claiming)
    }
  }

  async #execute(run: ClaimedRun, nodeId: string): Promise<RunJob | null> {
    const { context, holder, beat, lossesMax, parts } = this.#options
    const pair = { runId: run.run_id, generation: run.generation }
    const span = parts.tracing.begin(`process ${run.policy.runtime_type}`, {
      kind: 'consumer',
      parent: run.traceparent,
      attributes: {
        'messaging.operation.type': 'process',
        'messaging.destination.name': run.policy.runtime_type,
        'muster.run_id': run.run_id,
        'muster.attempt': run.attempt_number,
        'muster.node_id': nodeId,
      },
    })
    let outcome: 'ok' | 'error' = 'error'
    const execution = new Execution(run, parts, span.traceparent)
    this.#executions.set(keyOf(pair), execution)
    if (this.#options.nodeId() !== nodeId) execution.stop({ kind: 'lost' })
    this.#stopFor(execution)
    const ids = { run_id: run.run_id, generation: run.generation, node_id: nodeId }
    context.log.info({ ...ids, attempt: run.attempt_number }, 'run started')
    try {
      const begun = performance.now()
      const end = await execution.execute()
      this.#options.onEnded(run, end, (performance.now() - begun) / 1000)
      if (end.kind === 'abandoned') {
        context.log.warn(ids, 'run abandoned: it is no longer ours')
        return null
      }
      const decided = endAttempt(heldRun(run), end.outcome, lossesMax)
      const { outcome: finished, next } = await holder.finish({
        ...pair,
        sessionId: run.session_id,
        admission: run.admission,
        end: decided,
        usage: end.usage,
        limits: end.limits,
        place: this.#mayGoOn(nodeId, run.policy.runtime_type) ? { nodeId, pool: run.policy.runtime_type } : null,
      })
      context.log.info({ ...ids, status: decided.status, code: decided.failure?.code, finished }, 'attempt ended')
      outcome = 'ok'
      span.set({ 'muster.status': decided.status })
      // where the run was lost meanwhile another attempt may be at work in it
      if (finished === 'finished' && execution.mayHaveFolder) this.#clearFolder(run, decided.status)
      return next
    } finally {
      span.end(outcome)
      this.#executions.delete(keyOf(pair))
      beat.drop(pair)
    }
  }

  #mayGoOn(nodeId: string, pool: string): boolean {
    return !this.#closed && this.#options.nodeId() === nodeId && this.#options.serves(pool)
  }

  /** The folder of a run without a session goes with the run; whoever has the place next does not wait for that. */
  #clearFolder(run: ClaimedRun, status: string): void {
    if (run.session_id !== null || status === 'queued') return
    const clearing = this.#options.parts.folders
      .remove(run.run_id)
      .catch((error: unknown) =>
        this.#options.context.log.warn({ err: error, run_id: run.run_id }, 'a folder was left behind'),
      )
      .finally(() => this.#clearings.delete(clearing))
    this.#clearings.add(clearing)
  }
}

const keyOfJob = (job: RunJob): string => `${job.run_id}-${job.admission}`
const keyOf = (pair: HeldPair): string => `${pair.runId}/${pair.generation}`

const heldRun = (run: ClaimedRun) => ({
  attemptCount: run.attempt_count,
  maxAttempts: run.max_attempts,
  losses: run.losses,
  handBacks: run.hand_backs,
  retry: run.policy.retry,
})
