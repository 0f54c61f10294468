import { poolSchema, runIdSchema } from '@muster/contracts'
import { z } from 'zod'

/** What the gate needs to know of a queued run. */
export const offerSchema = z
  .object({
    run_id: runIdSchema,
    workspace_id: z.string(),
    agent_id: z.string(),
    lane: z.string(),
    class_key: z.string(),
    pool: poolSchema,
    job_name: z.string(),
    priority: z.int(),
    order: z.int(),
    front: z.boolean(),
    not_before_ms: z.int().nullable(),
    queued_at_ms: z.int(),
  })
  .transform((row) => ({
    runId: row.run_id,
    workspaceId: row.workspace_id,
    agentId: row.agent_id,
    lane: row.lane,
    classKey: row.class_key,
    pool: row.pool,
    jobName: row.job_name,
    priority: row.priority,
    order: row.order,
    front: row.front,
    notBeforeMs: row.not_before_ms,
    queuedAtMs: row.queued_at_ms,
  }))
export type Offer = z.infer<typeof offerSchema>
