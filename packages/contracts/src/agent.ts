import { z } from 'zod'
import { agentIdSchema, newKeySchema, workspaceIdSchema } from './ids.ts'
import { stringMapSchema } from './json.ts'
import { policyInputSchema } from './policy.ts'
import { clientKeySchema, SLUG_FAULT, slugSchema, text, timestampSchema } from './text.ts'
import { concurrencySchema, waitingLimitSchema, weightSchema } from './workspace.ts'

const FILE_CHARS_MAX = 262_144

const envSchema = stringMapSchema((name, value) => {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,254}$/.test(name)) return 'not a name of an environment variable'
  return value.length > 32_768 ? 'longer than 32768 characters' : null
})

const PATH_MAX = 255
const NOT_A_PATH = `not a relative path without "." and ".." parts (at most ${PATH_MAX} characters)`

const isRelativePath = (path: string): boolean =>
  path.length <= PATH_MAX &&
  /^[^/\0]+(\/[^/\0]+)*$/.test(path) &&
  !path.split('/').some((part) => part === '.' || part === '..')

const filesSchema = stringMapSchema((path, value, files) => {
  if (!isRelativePath(path)) return NOT_A_PATH
  const parts = path.split('/')
  const parent = parts.slice(0, -1).findIndex((_, index) => Object.hasOwn(files, parts.slice(0, index + 1).join('/')))
  if (parent !== -1) return `lies below ${JSON.stringify(parts.slice(0, parent + 1).join('/'))}, which is a file`
  return value.length > FILE_CHARS_MAX ? `longer than ${FILE_CHARS_MAX} characters` : null
})

/** The fields of an agent's config, each by itself. */
export const agentConfigFields = z.strictObject({
  runner: z.literal('process'),
  command: z.array(text(1, 32_768)).min(1).max(256),
  env: envSchema.optional(),
  files: filesSchema.optional(),
  bundle: text(1, PATH_MAX).refine(isRelativePath, { error: NOT_A_PATH }).optional(),
  policy: policyInputSchema.optional(),
  timeout_ms: z.int().min(1).max(86_400_000).optional(),
  model: text(1, 255).optional(),
  provider: text(1, 255).optional(),
  system_prompt: text(0, 262_144).optional(),
})

/**
 * What a `process` agent is: a program, its plain environment, and what appears read-only at `/agent`: `files` that are kept with it, or
 * `bundle`, a folder below the one that the operator allows on every node (`MUSTER_BUNDLES_ROOT`).
 */
export const agentConfigSchema = agentConfigFields.superRefine((config, context) => {
  if (config.files !== undefined && config.bundle !== undefined)
    context.addIssue({ code: 'custom', message: 'send files or bundle, not both', path: ['bundle'] })
})
export type AgentConfig = z.infer<typeof agentConfigSchema>

export const laneSettingsSchema = z.strictObject({
  concurrency: concurrencySchema.optional(),
  weight: weightSchema.optional(),
  paused: z.boolean().optional(),
})
export type LaneSettings = z.infer<typeof laneSettingsSchema>

/** Zod leaves out a lane of this name without a word. */
const UNSEEN = '__proto__'

const lanesSchema = z.preprocess(
  (lanes, context) => {
    if (Object.hasOwn(Object(lanes), UNSEEN)) context.addIssue({ code: 'custom', message: SLUG_FAULT, path: [UNSEEN] })
    return lanes
  },
  z.record(slugSchema, laneSettingsSchema),
)

export const agentLimitsSchema = z.strictObject({
  concurrency: concurrencySchema,
  max_waiting: waitingLimitSchema,
  lanes: lanesSchema,
})
export type AgentLimits = z.infer<typeof agentLimitsSchema>

export const agentSchema = z.object({
  id: agentIdSchema,
  workspace_id: workspaceIdSchema,
  key: slugSchema,
  name: z.string(),
  config: agentConfigSchema,
  limits: agentLimitsSchema,
  weight: weightSchema,
  active: z.boolean(),
  paused: z.boolean(),
  version: z.int().positive(),
  created_at: timestampSchema,
  updated_at: timestampSchema,
})
export type Agent = z.infer<typeof agentSchema>

export const createAgentSchema = z.strictObject({
  key: newKeySchema('agent').refine((key) => key !== 'defaults', { error: 'stands for GET /v1/agents/defaults' }),
  name: clientKeySchema.optional(),
  config: agentConfigSchema,
  limits: agentLimitsSchema.partial().optional(),
  weight: weightSchema.optional(),
  active: z.boolean().optional(),
  paused: z.boolean().optional(),
})
export type CreateAgent = z.infer<typeof createAgentSchema>

const patchedConfigSchema = agentConfigFields
  .extend({
    env: agentConfigFields.shape.env.nullable(),
    files: agentConfigFields.shape.files.nullable(),
    bundle: agentConfigFields.shape.bundle.nullable(),
    policy: agentConfigFields.shape.policy.nullable(),
    timeout_ms: agentConfigFields.shape.timeout_ms.nullable(),
    model: agentConfigFields.shape.model.nullable(),
    provider: agentConfigFields.shape.provider.nullable(),
    system_prompt: agentConfigFields.shape.system_prompt.nullable(),
  })
  .partial()

/** `config` merges one level deep (null clears a field) and makes a new version; `limits.lanes` merges lane by lane. */
export const patchAgentSchema = createAgentSchema
  .omit({ key: true, config: true })
  .extend({ config: patchedConfigSchema })
  .partial()
export type PatchAgent = z.infer<typeof patchAgentSchema>
