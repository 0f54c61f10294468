import { z } from 'zod'
import { runIdSchema } from './ids.ts'

/** Data of a BullMQ job: ids only. The job's id is `<run id>-<admission>`. */
export const runJobSchema = z.object({ run_id: runIdSchema, admission: z.int().positive() })
export type RunJob = z.infer<typeof runJobSchema>
