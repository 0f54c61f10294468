import { z } from 'zod'
import { runIdSchema } from './ids.ts'
import { runStatusSchema } from './statuses.ts'
import { timestampSchema } from './text.ts'

const BLOCK_KINDS = ['limit', 'paused', 'not_due', 'no_node', 'session_busy', 'none'] as const

/** Why a run waits, behind what, and what would let it start. */
export const explanationSchema = z.object({
  run_id: runIdSchema,
  status: runStatusSchema,
  position: z.int().positive().nullable(),
  runs_ahead: z.int().min(0).nullable(),
  blocked_by: z.object({
    kind: z.enum(BLOCK_KINDS),
    node: z.string().nullable(),
    used: z.int().nullable(),
    limit: z.int().nullable(),
  }),
  oldest_waiting_ms: z.int().nullable(),
  estimate_ms: z.int().nullable(),
  text: z.string(),
})
export type Explanation = z.infer<typeof explanationSchema>

const VIOLATION_CODES = [
  'slot_without_run',
  'run_without_slot',
  'limit_exceeded',
  'pool_exceeded',
  'count_mismatch',
  'session_overlap',
  'session_stuck',
  'event_hole',
  'run_on_dead_node',
  'task_run_mismatch',
  'stale_epoch',
  'unknown_to_gate',
] as const

export const invariantsSchema = z.object({
  violations: z.array(z.object({ code: z.enum(VIOLATION_CODES), run_id: runIdSchema.optional(), detail: z.string() })),
  checked_at: timestampSchema,
})
export type Invariants = z.infer<typeof invariantsSchema>
