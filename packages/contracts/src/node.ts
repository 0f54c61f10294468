import { z } from 'zod'
import { nodeIdSchema } from './ids.ts'
import { poolSchema } from './policy.ts'
import { nodeStatusSchema } from './statuses.ts'
import { timestampSchema } from './text.ts'

/** Slots per pool. */
export const nodePoolsSchema = z.partialRecord(poolSchema, z.int().min(0))
export type NodePools = z.infer<typeof nodePoolsSchema>

export const nodeSchema = z.object({
  id: nodeIdSchema,
  host: z.string(),
  pid: z.int(),
  address: z.string().nullable(),
  pools: nodePoolsSchema,
  labels: z.record(z.string(), z.string()),
  metadata: z.record(z.string(), z.string()),
  used: z.int(),
  status: nodeStatusSchema,
  registered_at: timestampSchema,
  last_beat_at: timestampSchema,
  version: z.string(),
})
export type Node = z.infer<typeof nodeSchema>
