import { type RunEvent, runIdSchema } from '@muster/contracts'
import { z } from 'zod'
import type { Finish } from './finish-runs.ts'
import type { Moves } from './moves.ts'
import { offerSchema } from './offer.ts'
import { executeOne, type Queryable } from './statement.ts'
import { textArray } from './text-array.ts'
import { timestamp } from './timestamp.ts'

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

/**
 * Ends for good what is to end so, each attempt under the generation it holds. A run that is absent from `moved` is as it was, and left to
 * `finishRuns`: one that is to be queued again, whose cancel was asked meanwhile, or that is no longer held by that generation.
 */
export async function endRuns(on: Queryable, finishes: readonly Finish[]): Promise<Moves> {
  const forGood = finishes.filter(({ end }) => end.status !== 'queued')
  if (forGood.length === 0) return { moved: [], events: [], offers: [] }
  // by id, as every statement locks runs
  const inOrder = forGood.toSorted((one, other) => (one.runId < other.runId ? -1 : 1))
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
  const ends = new Map(forGood.map((finish) => [finish.runId, finish.end]))
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
  return { moved, events, offers: row.offers ?? [] }
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
