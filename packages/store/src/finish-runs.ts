import { type RunEvent, runIdSchema } from '@muster/contracts'
import type { AttemptEnd, AttemptFacts } from '@muster/core'
import { z } from 'zod'
import { type Moves, movesSchema } from './moves.ts'
import { offerSchema } from './offer.ts'
import { executeOne, type Queryable } from './statement.ts'
import { textArray } from './text-array.ts'
import { timestamp } from './timestamp.ts'

const FINISH = {
  name: 'finish_runs',
  text: 'SELECT finish_runs($1) AS moves',
  row: z.object({ moves: movesSchema }),
}
const END = {
  name: 'end_runs',
  text: 'SELECT * FROM end_runs($1, $2, $3, $4, $5, $6)',
  row: z.object({
    at: timestamp,
    // column by column; null when none ended
    run_ids: z.array(runIdSchema).nullable(),
    generations: z.array(z.int()).nullable(),
    admissions: z.array(z.coerce.number().int()).nullable(),
    attempts: z.array(z.int()).nullable(),
    seqs: z.array(z.int()).nullable(),
    offers: z.array(offerSchema).nullable(),
  }),
}

export type Finish = AttemptFacts & {
  readonly runId: string
  /** The run's session; where it is left out, the run is ended by the statement that can do all. */
  readonly sessionId: string | null
  readonly generation: number
  readonly end: AttemptEnd
}

/** Of what an end statement answers; `ended` are the runs that it ended. */
type Ended = Moves & { readonly ended: ReadonlySet<string> }

/**
 * Ends attempts, each under the generation it holds; a run that is absent from `moved` is no longer held by that generation.
 * Names the next run of each session that became free. Ends for good go by one lean statement; what that leaves (runs that are to be
 * queued again, and those whose cancel was asked meanwhile) by one that can do all.
 */
export async function finishRuns(on: Queryable, finishes: readonly Finish[]): Promise<Moves> {
  const ends = finishes.filter((finish) => finish.end.status !== 'queued')
  const done = ends.length === 0 ? NOTHING : await endRuns(on, ends)
  const left = finishes.filter((finish) => !done.ended.has(finish.runId))
  if (left.length === 0) return done
  const { moves } = await executeOne(on, FINISH, [JSON.stringify(left.map(itemOf))])
  return {
    moved: [...done.moved, ...moves.moved],
    events: [...done.events, ...moves.events],
    offers: [...done.offers, ...moves.offers],
  }
}

const NOTHING: Ended = { moved: [], events: [], offers: [], ended: new Set() }

async function endRuns(on: Queryable, finishes: readonly Finish[]): Promise<Ended> {
  // by id, as every statement locks runs
  const inOrder = finishes.toSorted((one, other) => (one.runId < other.runId ? -1 : 1))
  const kinds = new Map<string, number>()
  const likes = inOrder.map((finish) => {
    const kind = JSON.stringify(kindOf(finish))
    const like = kinds.get(kind) ?? kinds.size + 1
    kinds.set(kind, like)
    return like
  })
  const row = await executeOne(on, END, [
    textArray(inOrder.map((finish) => finish.runId)),
    inOrder.map((finish) => finish.generation),
    textArray(
      inOrder.map(({ end }) => (end.output === undefined || end.output === null ? null : JSON.stringify(end.output))),
    ),
    likes,
    textArray([...kinds.keys()]),
    textArray(inOrder.flatMap(({ sessionId }) => sessionId ?? [])),
  ])
  const { at, run_ids, generations, admissions, attempts, seqs } = row
  const ends = new Map(finishes.map((finish) => [finish.runId, finish.end]))
  const moved: Moves['moved'] = []
  const events: RunEvent[] = []
  for (const [index, run_id] of (run_ids ?? []).entries()) {
    const [generation, admission] = [generations?.[index], admissions?.[index]]
    const [attempt, seq] = [attempts?.[index], seqs?.[index]]
    const end = ends.get(run_id)
    if (generation === undefined || admission === undefined || attempt === undefined || seq === undefined)
      throw new Error(`the end of ${run_id} was answered in part`)
    if (end === undefined || end.status === 'queued') throw new Error(`${run_id} ended unasked`)
    moved.push({ runId: run_id, status: end.status, generation, admission })
    // in the order in which Postgres keeps it, so that a live copy and a stored one read the same
    const data = { output: end.output ?? null, status: end.status, failure: end.failure }
    events.push({ run_id, attempt, seq, at, type: 'run.finished', data })
  }
  return { moved, events, offers: row.offers ?? [], ended: new Set(moved.map((one) => one.runId)) }
}

/** How an attempt ended for good, without what it does not have: most attempts end alike. */
const kindOf = ({ end, usage, limits }: Finish) => ({
  status: end.status,
  attempt_status: end.attemptStatus,
  charge: end.charge,
  losses: end.losses,
  hand_backs: end.handBacks,
  output_truncated: end.outputTruncated,
  failure: end.failure ?? undefined,
  usage: usage ?? undefined,
  exit_code: end.exitCode ?? undefined,
  limits: limits ?? undefined,
})

const itemOf = ({ runId, generation, end, usage, limits }: Finish) => ({
  run_id: runId,
  generation,
  status: end.status,
  attempt_status: end.attemptStatus,
  charge: end.charge,
  losses: end.losses,
  hand_backs: end.handBacks,
  reason: end.reason,
  delay_ms: end.delayMs,
  front: end.front,
  output: end.output,
  output_truncated: end.outputTruncated,
  failure: end.failure,
  usage,
  exit_code: end.exitCode,
  limits,
})
