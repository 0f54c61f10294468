import { AppError } from '@muster/core'
import { z } from 'zod'
import { type Moves, movesSchema } from './moves.ts'
import { executeOne, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'cancel_run',
  text: 'SELECT cancel_run($1, $2, $3) AS answer',
  row: z.object({ answer: movesSchema.extend({ outcome: z.enum(['cancelled', 'requested', 'ended']) }).nullable() }),
}
export type CancelVerdict = Moves & { readonly outcome: 'cancelled' | 'requested' | 'ended' }

/** Ends a queued run `cancelled`; asks a held one to cancel; leaves an ended one as it is. Throws `run_not_found`. */
export async function cancelRun(on: Queryable, runId: string, code: string, reason: string): Promise<CancelVerdict> {
  const { answer } = await executeOne(on, STATEMENT, [runId, code, reason])
  if (answer === null) throw new AppError('run_not_found')
  return answer
}
