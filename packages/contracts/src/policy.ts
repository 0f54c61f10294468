import { z } from 'zod'

export const POOLS = ['bubblewrap', 'runc', 'gvisor', 'none'] as const
/** A pool is named after the runtime that its workers serve. */
export const poolSchema = z.enum(POOLS)
export type Pool = z.infer<typeof poolSchema>

export const resourcesSchema = z.strictObject({
  cpu: z.number().positive().max(1024),
  memory_mb: z.int().positive().max(4_194_304),
  pids: z.int().positive().max(4_194_304),
  disk_mb: z.int().positive().max(1_073_741_824),
})
export type Resources = z.infer<typeof resourcesSchema>
export const resourceNameSchema = resourcesSchema.keyof()
export type ResourceName = z.infer<typeof resourceNameSchema>
export const RESOURCE_NAMES = resourceNameSchema.options

export const retryPolicySchema = z.strictObject({
  max_attempts: z.int().min(1).max(100),
  delay_ms: z.int().min(0).max(86_400_000),
  backoff: z.enum(['fixed', 'exponential']),
  max_delay_ms: z.int().min(0).max(86_400_000),
})
export type RetryPolicy = z.infer<typeof retryPolicySchema>

/** Where and how a run may execute. The whole of it; see `policyInputSchema` for what a client sends. */
export const policySchema = z.strictObject({
  host: z.enum(['sandbox']),
  security: z.enum(['deny', 'allowlist', 'full']),
  ask: z.enum(['off', 'on-miss', 'always']),
  runtime_type: poolSchema,
  workspace_access: z.enum(['none', 'ro', 'rw']),
  network_enabled: z.boolean(),
  interactive: z.boolean(),
  resources: resourcesSchema,
  retry: retryPolicySchema,
  /** The resources that the command or its agent named: they are held or the run is refused. Absent when neither named any. */
  named_resources: z.array(resourceNameSchema).optional(),
})
export type Policy = z.infer<typeof policySchema>

/** A policy as a client writes it: each omitted field takes its default, at every level. */
export const policyInputSchema = policySchema
  .omit({ named_resources: true })
  .extend({ resources: resourcesSchema.partial(), retry: retryPolicySchema.partial() })
  .partial()
export type PolicyInput = z.infer<typeof policyInputSchema>

export const DEFAULT_POLICY: Policy = {
  host: 'sandbox',
  security: 'allowlist',
  ask: 'off',
  runtime_type: 'bubblewrap',
  workspace_access: 'rw',
  network_enabled: false,
  interactive: false,
  resources: { cpu: 1, memory_mb: 1024, pids: 256, disk_mb: 1024 },
  retry: { max_attempts: 2, delay_ms: 0, backoff: 'fixed', max_delay_ms: 3_600_000 },
}
