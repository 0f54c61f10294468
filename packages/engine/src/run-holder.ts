import type { RunEvent, RunJob } from '@muster/contracts'
import { Batcher } from '@muster/core'
import {
  AgentVersions,
  type Claim,
  type ClaimVerdict,
  claimRuns,
  endRuns,
  type Finish,
  finishRuns,
  type Moves,
} from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { publishEvents } from './publish-events.ts'
import { refusedEnd } from './refused-end.ts'
import { createSlotReleaser, type FreedPlace } from './release-slot.ts'
import { settleBatch, settledValue } from './settle-batch.ts'
import { untilAnswered } from './until-answered.ts'

export type HolderOptions = {
  /** Runs that the worker holds at once at most. */
  readonly places: number
  /** Aborts when the process gives up for good. */
  readonly signal: AbortSignal
  /** Postgres does not answer: take no more jobs until `onDecided`. */
  readonly onUndecided: () => void
  /** It answered, were it with a refusal, or nobody waits for it any more. */
  readonly onDecided: () => void
}

/** The claims and the ends of one worker's runs; both gather into batches. */
export type RunHolder = {
  /** Claims a run for a node; asks until Postgres answers. A refused claim's slot is released here, and a run that cannot be read is ended. */
  claim(job: RunJob, nodeId: string): Promise<ClaimVerdict>
  /**
   * Ends an attempt and frees its slot. `fenced`: the run was no longer held under this generation; its slot is freed all the same.
   * An end that Postgres refuses to keep becomes `failed`.
   */
  finish(finish: FinishAt): Promise<Finished>
}

export type FinishAt = Finish & {
  readonly admission: number
  /** Where another run may go on at once; null: nowhere. */
  readonly place: FreedPlace | null
}

/** `next`: the run that the place was given to; its slot is started and it is to be claimed. */
export type Finished = { readonly outcome: 'finished' | 'fenced'; readonly next: RunJob | null }

const BATCH_MAX = 64
/** Fewer are not worth being parted. */
const BATCH_MIN = 8

type ClaimFor = Claim & { readonly nodeId: string }
type FinishAnswer = { readonly moved: boolean; readonly offers: Moves['offers'] }
type SettledFinish = PromiseSettledResult<FinishAnswer>

export function createRunHolder(context: EngineContext, options: HolderOptions): RunHolder {
  const { pool } = context.database
  const max = batchMax(options.places)
  const ask = async <T>(statement: () => Promise<T>): Promise<T> => {
    try {
      return await untilAnswered(statement, { signal: options.signal, onUndecided: options.onUndecided })
    } finally {
      // a refusal is an answer too
      options.onDecided()
    }
  }

  const releaseSlot = createSlotReleaser(context)
  const versions = new AgentVersions(pool)
  const claimer = new Batcher<ClaimFor, PromiseSettledResult<ClaimVerdict>>(
    async (claims) => {
      const verdicts = new Map<ClaimFor, PromiseSettledResult<ClaimVerdict>>()
      for (const [nodeId, own] of Map.groupBy(claims, (claim) => claim.nodeId)) {
        const answers = await settleBatch(own, (some) => ask(() => claimRuns(pool, nodeId, some, versions)))
        for (const [index, claim] of own.entries()) {
          const answer = answers[index]
          if (answer !== undefined) verdicts.set(claim, answer)
        }
        void publishEvents(context, startedEvents(answers, nodeId))
      }
      return claims.map((claim) => verdicts.get(claim) ?? NOT_ANSWERED)
    },
    { max, apart: (claim) => claim.runId },
  )

  /** What one statement makes of these ends. */
  async function settleEnds(
    statement: typeof finishRuns,
    ends: readonly Finish[],
  ): Promise<Map<Finish, SettledFinish>> {
    if (ends.length === 0) return new Map()
    const answers = await settleBatch(ends, async (finishes): Promise<FinishAnswer[]> => {
      const moves = await ask(() => statement(pool, finishes))
      void publishEvents(context, moves.events)
      const moved = new Set(moves.moved.map((each) => each.runId))
      const own = new Set(finishes.map((finish) => finish.runId))
      const [first] = moved
      return finishes.map(({ runId }) => ({
        moved: moved.has(runId),
        // a run that is queued again is offered with the release of its own slot; what the statement made free, with that of its first end
        offers: moves.offers.filter((offer) => offer.runId === runId || (runId === first && !own.has(offer.runId))),
      }))
    })
    return new Map(ends.map((finish, index) => [finish, answers[index] ?? NOT_ANSWERED]))
  }

  const finisher = new Batcher<Finish, SettledFinish>(
    async (batch) => {
      // each by itself: what the first has done is not asked for again, and then taken for lost, when the second has to be repeated
      const ended = await settleEnds(endRuns, batch)
      const left = batch.filter((finish) => isLeft(ended.get(finish)))
      const finished = await settleEnds(finishRuns, left)
      return batch.map((finish) => finished.get(finish) ?? ended.get(finish) ?? NOT_ANSWERED)
    },
    { max, apart: (finish) => finish.runId },
  )

  async function end(finish: Finish): Promise<FinishAnswer> {
    try {
      return settledValue(await finisher.add(finish))
    } catch (error) {
      if (options.signal.aborted) throw error
      context.log.error(
        { err: error, run_id: finish.runId },
        'the end of an attempt could not be kept; it counts as failed',
      )
      return settledValue(await finisher.add({ ...finish, ...refusedEnd('the end of the attempt could not be kept') }))
    }
  }

  async function finish({ admission, place, ...ended }: FinishAt): Promise<Finished> {
    const { moved, offers } = await end(ended)
    if (moved && ended.end.reason === 'handed_back') context.report?.recovered?.('handed_back', 1)
    const next = await releaseSlot({ runId: ended.runId, admission, offers, place })
    return { outcome: moved ? 'finished' : 'fenced', next }
  }

  return {
    async claim(job, nodeId) {
      const verdict = settledValue(await claimer.add({ runId: job.run_id, admission: job.admission, nodeId }))
      if (verdict.verdict === 'claimed') context.report?.claimed?.(verdict.run)
      if (verdict.verdict === 'refused' || verdict.verdict === 'node_dead')
        await releaseSlot({ runId: job.run_id, admission: job.admission, offers: [], place: null })
      if (verdict.verdict === 'unreadable') {
        context.log.error({ run_id: job.run_id, problem: verdict.problem }, 'a run cannot be read and is ended')
        await finish({
          runId: job.run_id,
          sessionId: verdict.sessionId,
          generation: verdict.generation,
          admission: job.admission,
          place: null,
          ...refusedEnd('the run cannot be read'),
        })
      }
      return verdict
    },
    finish,
  }
}

/**
 * Half of the places: under a backlog one half is then with Postgres while the other is with this process and the gate. In batches of all
 * of them the places would go in step, each part of the fleet waiting for the next.
 */
const batchMax = (places: number): number => Math.min(BATCH_MAX, Math.max(BATCH_MIN, Math.ceil(places / 2)))

const NOT_ANSWERED: PromiseRejectedResult = {
  status: 'rejected',
  reason: new Error('an item of a batch was not answered'),
}

const isLeft = (ended: SettledFinish | undefined): boolean => ended?.status === 'fulfilled' && !ended.value.moved

const startedEvents = (answers: readonly PromiseSettledResult<ClaimVerdict>[], nodeId: string): readonly RunEvent[] =>
  answers.flatMap((answer) =>
    answer.status === 'fulfilled' && answer.value.verdict === 'claimed' ? [startedEvent(answer.value.run, nodeId)] : [],
  )

const startedEvent = (
  run: { readonly run_id: string; readonly seq: number; readonly attempt_number: number; readonly started_at: Date },
  nodeId: string,
): RunEvent => ({
  run_id: run.run_id,
  seq: run.seq,
  attempt: run.attempt_number,
  type: 'run.started',
  at: run.started_at.toISOString(),
  data: { attempt: run.attempt_number, node_id: nodeId },
})
