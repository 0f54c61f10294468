import type { AttemptEnd, AttemptFacts } from '@muster/core'
import { z } from 'zod'
import { type Moves, movesSchema } from './moves.ts'
import { executeOne, type Queryable } from './statement.ts'

const FINISH = {
  name: 'finish_runs',
  text: 'SELECT finish_runs($1) AS moves',
  row: z.object({ moves: movesSchema }),
}

export type Finish = AttemptFacts & {
  readonly runId: string
  /** The run's session; where it is left out, the run is ended by the statement that can do all. */
  readonly sessionId: string | null
  readonly generation: number
  readonly end: AttemptEnd
}

/**
 * Ends attempts, each under the generation it holds; a run that is absent from `moved` is no longer held by that generation.
 * Names the next run of each session that became free. `endRuns` does the same for most, and is lean.
 */
export const finishRuns = async (on: Queryable, finishes: readonly Finish[]): Promise<Moves> =>
  (await executeOne(on, FINISH, [JSON.stringify(finishes.map(itemOf))])).moves

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
