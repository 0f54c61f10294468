import { POOLS, poolSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

/** How far back a pool without workers looks for one that it had. */
const NODES_MAX = 200

const STATEMENT = {
  name: 'pool_workers',
  text: `SELECT p.pool,
      (SELECT count(*)::integer FROM nodes n WHERE n.status = 'active' AND (n.pools ->> p.pool)::integer > 0) AS workers,
      (SELECT coalesce(sum((n.pools ->> p.pool)::integer), 0)::integer FROM nodes n WHERE n.status = 'active') AS slots,
      (SELECT (n.pools ->> p.pool)::integer FROM (SELECT id, pools FROM nodes ORDER BY id DESC LIMIT ${NODES_MAX}) n
        WHERE (n.pools ->> p.pool)::integer > 0 ORDER BY n.id DESC LIMIT 1) AS last_slots,
      (SELECT count(*)::integer FROM nodes n JOIN runs r ON r.node_id = n.id AND r.status IN ('running', 'waiting') AND r.pool = p.pool
        WHERE n.status = 'draining') AS leaving
    FROM unnest($1::text[]) AS p (pool)`,
  row: z
    .object({ pool: poolSchema, workers: z.int(), slots: z.int(), last_slots: z.int().nullable(), leaving: z.int() })
    .transform(({ pool, workers, slots, last_slots, leaving }) => ({
      pool,
      workers,
      slots,
      slotsPerWorker: workers > 0 ? slots / workers : last_slots,
      leaving,
    })),
}

/**
 * The workers of one pool. `slotsPerWorker`: what they bring on average, or what the last one brought; null when none was seen lately.
 * `leaving`: runs that draining workers still hold.
 */
export type PoolWorkers = z.infer<typeof STATEMENT.row>

/** The active workers of every pool and their slots, also of pools that have none. */
export const poolWorkers = (on: Queryable): Promise<readonly PoolWorkers[]> => execute(on, STATEMENT, [POOLS])
