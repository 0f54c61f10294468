import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'unneeded_folders',
  text: `SELECT name FROM unnest($1::text[]) AS name
    WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.id = name)
      AND NOT EXISTS (SELECT FROM runs r WHERE r.id = name
        AND r.session_id IS NULL AND (r.ended_at IS NULL OR r.ended_at > now() - interval '1 hour'))`,
  row: z.object({ name: z.string() }),
}

/** Those of these folders' names, ids of sessions and of runs without one, that no session has and no run goes back to. */
export async function unneededFolders(on: Queryable, names: readonly string[]): Promise<readonly string[]> {
  return (await execute(on, STATEMENT, [names])).map((row) => row.name)
}
