import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

export type KeyPlace = { readonly workspaceId: string; readonly agentId: string; readonly idempotencyKey: string }

const STATEMENT = {
  name: 'known_keys',
  text: `SELECT k.ord::integer AS ord FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (workspace_id, agent_id, key, ord)
    WHERE EXISTS (SELECT FROM tasks t WHERE t.workspace_id = k.workspace_id AND t.agent_id = k.agent_id AND t.idempotency_key = k.key)`,
  row: z.object({ ord: z.int() }),
}

/** For each place, in order, whether a command with this idempotency key was accepted there before. */
export async function knownKeys(on: Queryable, places: readonly KeyPlace[]): Promise<readonly boolean[]> {
  const rows = await execute(on, STATEMENT, [
    places.map((place) => place.workspaceId),
    places.map((place) => place.agentId),
    places.map((place) => place.idempotencyKey),
  ])
  const known = new Set(rows.map((row) => row.ord - 1))
  return places.map((_, index) => known.has(index))
}
