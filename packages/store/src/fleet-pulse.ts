import { poolSchema } from '@muster/contracts'
import { z } from 'zod'
import { execute, executeOne, type Queryable } from './statement.ts'

/** How many of the oldest runs without a session, and of the sessions named first, are looked at for the ages: a bound on the cost. */
const OLDEST_MAX = 20_000
/** And how many queued runs to find those of them that have no session: many may wait behind the sessions of a few. */
const PASSED_MAX = 200_000

const PULSE = {
  name: 'fleet_pulse',
  text: `SELECT f.epoch, extract(epoch FROM clock_timestamp() - nullif(f.ticked_at, '-infinity'))::float8 AS tick_age,
      (SELECT coalesce(jsonb_object_agg(n.status, n.nodes), '{}') FROM (
        SELECT status, count(*) AS nodes FROM nodes WHERE status IN ('active', 'draining') GROUP BY status) n) AS nodes,
      (SELECT coalesce(jsonb_object_agg(d.key, extract(epoch FROM clock_timestamp() - d.value::timestamptz)), '{}')
        FROM jsonb_each_text(f.duty_marks) d) AS duty_ages
    FROM fleet f`,
  row: z
    .object({
      epoch: z.int(),
      tick_age: z.number().nullable(),
      nodes: z.record(z.string(), z.int()),
      duty_ages: z.record(z.string(), z.number()),
    })
    .transform(({ epoch, tick_age, nodes, duty_ages }) => ({
      epoch,
      tickAgeSeconds: tick_age,
      nodes,
      dutyAgeSeconds: duty_ages,
    })),
}
const OLDEST = {
  name: 'oldest_queued',
  text: `SELECT w.pool, extract(epoch FROM now() - min(w.since))::float8 AS age_seconds FROM (
      (SELECT r.pool, greatest(r.queued_at, r.not_before) AS since
        FROM (SELECT pool, session_id, queued_at, not_before FROM runs WHERE status = 'queued' AND NOT scheduled
              ORDER BY offerable_at, id LIMIT ${PASSED_MAX}) r
        WHERE r.session_id IS NULL LIMIT ${OLDEST_MAX})
      UNION ALL
      (SELECT r.pool, greatest(r.queued_at, r.not_before, s.named_at)
        FROM sessions s JOIN runs r ON r.id = s.current_run_id AND r.status = 'queued' AND NOT r.scheduled
        WHERE s.current_run_id IS NOT NULL ORDER BY s.named_at LIMIT ${OLDEST_MAX})
    ) w GROUP BY w.pool`,
  row: z
    .object({ pool: poolSchema, age_seconds: z.number() })
    .transform(({ pool, age_seconds }) => ({ pool, ageSeconds: age_seconds })),
}

const MARK = {
  name: 'mark_duties',
  text: `UPDATE fleet SET duty_marks = duty_marks
    || (SELECT coalesce(jsonb_object_agg(d, clock_timestamp()), '{}') FROM unnest($1::text[]) d)`,
  row: z.object({}),
}

export type FleetPulse = z.infer<typeof PULSE.row>
export type OldestQueued = z.infer<typeof OLDEST.row>

/** The epoch, how long ago the tick was taken (null: never) and each duty last ended well (absent: never), and the living nodes by status. */
export const fleetPulse = (on: Queryable): Promise<FleetPulse> => executeOne(on, PULSE, [])

/**
 * How long the run of each pool that has waited longest for a slot has done so; pools without one are absent. A run waits from when its time
 * came and its session named it.
 */
export const oldestQueued = (on: Queryable): Promise<readonly OldestQueued[]> => execute(on, OLDEST, [])

/** Notes that these duties have just ended well. */
export async function markDuties(on: Queryable, names: readonly string[]): Promise<void> {
  await execute(on, MARK, [names])
}
