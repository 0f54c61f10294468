import { z } from 'zod'
import { poolSchema } from './policy.ts'

/** What a pool has to do and who does it. */
export const poolScaleSchema = z.object({
  /** Runs that wait for a slot, whatever else holds them back; neither runs behind their session nor those whose time has not come. */
  queued: z.int(),
  /** Those among them that no limit and no pause holds back: a slot is all they need. */
  startable: z.int(),
  /** Slots in use. */
  running: z.int(),
  /** Of the run that has waited longest since its time came; 0 when none waits. */
  oldest_age_seconds: z.number(),
  /** Slots of the workers that are not draining. */
  slots: z.int(),
  workers: z.int(),
  /** Enough for what runs and what could start; 0 for an idle pool. */
  desired_workers: z.int(),
})
export type PoolScale = z.infer<typeof poolScaleSchema>

export const scaleSchema = z.object({ pools: z.partialRecord(poolSchema, poolScaleSchema) })
export type Scale = z.infer<typeof scaleSchema>
