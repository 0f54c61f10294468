import { type Pool, poolSchema, type ResourceName, resourceNameSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

/** The key in a node's metadata below which it says what it can bound in a pool: names with commas between them. */
export const HOLDS_KEY = 'holds.'

const STATEMENT = {
  name: 'held_resources',
  text: `SELECT p.key AS pool, coalesce(n.metadata ->> ($1 || p.key), '') AS held
    FROM nodes n CROSS JOIN LATERAL jsonb_each_text(n.pools) p
    WHERE n.status IN ('active', 'draining') AND p.value::integer > 0 GROUP BY 1, 2`,
  row: z.object({ pool: poolSchema, held: z.string() }),
}

/**
 * What the living nodes of each pool can bound, one set for each kind of node, since a run needs one node that holds all
 * that it names. A pool without a living node is absent.
 */
export async function heldResources(on: Queryable): Promise<ReadonlyMap<Pool, readonly ReadonlySet<ResourceName>[]>> {
  const pools = new Map<Pool, ReadonlySet<ResourceName>[]>()
  for (const { pool, held } of await execute(on, STATEMENT, [HOLDS_KEY])) {
    const names = held.split(',').flatMap((name) => resourceNameSchema.safeParse(name).data ?? [])
    pools.set(pool, [...(pools.get(pool) ?? []), new Set(names)])
  }
  return pools
}
