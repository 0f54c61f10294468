import { z } from 'zod'
import { type Moves, movesSchema } from './moves.ts'
import { executeOne, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'release_session',
  text: 'SELECT release_session($1, $2) AS moves',
  row: z.object({ moves: movesSchema }),
}

/** Ends the session's current run, whatever its state, with code `session_released`, and names the next. */
export async function releaseSession(on: Queryable, sessionId: string, reason: string): Promise<Moves> {
  return (await executeOne(on, STATEMENT, [sessionId, reason])).moves
}
