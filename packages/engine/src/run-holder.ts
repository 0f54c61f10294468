import type { RunEvent, RunJob } from '@muster/contracts'
import { Batcher } from '@muster/core'
import { type Claim, type ClaimVerdict, claimRuns, type Finish, finishRuns, type Moves } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { publishEvents } from './publish-events.ts'
import { releaseSlot } from './release-slot.ts'
import { untilAnswered } from './until-answered.ts'

export type HolderOptions = {
  /** Aborts when the process gives up for good. */
  readonly signal: AbortSignal
  /** Postgres does not answer: take no more jobs until `onDecided`. */
  readonly onUndecided: () => void
  readonly onDecided: () => void
}

/** The claims and the ends of one worker's runs; both gather into batches. */
export type RunHolder = {
  /** Claims a run for a node; asks until Postgres answers. A refused claim's slot is released here. */
  claim(job: RunJob, nodeId: string): Promise<ClaimVerdict>
  /** Ends an attempt and frees its slot. `fenced`: the run was no longer held under this generation; its slot is freed all the same. */
  finish(finish: Finish & { readonly admission: number }): Promise<'finished' | 'fenced'>
}

const BATCH_MAX = 64

type ClaimFor = Claim & { readonly nodeId: string }
type FinishAnswer = { readonly moves: Moves; readonly moved: boolean }

export function createRunHolder(context: EngineContext, options: HolderOptions): RunHolder {
  const { pool } = context.database
  const ask = async <T>(statement: () => Promise<T>): Promise<T> => {
    const answer = await untilAnswered(statement, { signal: options.signal, onUndecided: options.onUndecided })
    options.onDecided()
    return answer
  }

  const claimer = new Batcher<ClaimFor, ClaimVerdict>(
    async (claims) => {
      const byNode = Map.groupBy(claims, (claim) => claim.nodeId)
      const verdicts = new Map<ClaimFor, ClaimVerdict>()
      for (const [nodeId, own] of byNode) {
        const answers = await ask(() => claimRuns(pool, nodeId, own))
        for (const [index, claim] of own.entries()) {
          const answer = answers[index]
          if (answer !== undefined) verdicts.set(claim, answer)
        }
      }
      return claims.map((claim) => verdicts.get(claim) ?? { verdict: 'refused' })
    },
    { max: BATCH_MAX, apart: (claim) => claim.runId },
  )

  const finisher = new Batcher<Finish, FinishAnswer>(
    async (finishes) => {
      const moves = await ask(() => finishRuns(pool, finishes))
      const moved = new Set(moves.moved.map((each) => each.runId))
      return finishes.map((finish, index) => ({
        // what the whole batch made free is offered once, with its first release
        moves: index === 0 ? moves : NOTHING,
        moved: moved.has(finish.runId),
      }))
    },
    { max: BATCH_MAX, apart: (finish) => finish.runId },
  )

  return {
    async claim(job, nodeId) {
      const verdict = await claimer.add({ runId: job.run_id, admission: job.admission, nodeId })
      if (verdict.verdict === 'claimed') void publishEvents(context, [startedEvent(verdict.run, nodeId)])
      if (verdict.verdict === 'refused' || verdict.verdict === 'node_dead')
        await releaseSlot(context, { runId: job.run_id, admission: job.admission, offers: [] })
      return verdict
    },
    async finish({ admission, ...finish }) {
      const { moves, moved } = await finisher.add(finish)
      void publishEvents(context, moves.events)
      await releaseSlot(context, { runId: finish.runId, admission, offers: moves.offers })
      return moved ? 'finished' : 'fenced'
    },
  }
}

const NOTHING: Moves = { moved: [], events: [], offers: [] }

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
