import { z } from 'zod'
import { executeOne, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'agree_on_root',
  text: 'UPDATE fleet SET sessions_root = coalesce(sessions_root, $1) RETURNING sessions_root',
  row: z.object({ sessions_root: z.string() }),
}

/** Makes this root's id the fleet's if it has none yet; answers the fleet's. A worker that reads another one shares another disk. */
export async function agreeOnRoot(on: Queryable, rootId: string): Promise<string> {
  return (await executeOne(on, STATEMENT, [rootId])).sessions_root
}
