import { z } from 'zod'
import { agentIdSchema, newKeySchema, workspaceIdSchema } from './ids.ts'
import { stringMapSchema } from './json.ts'
import { policyInputSchema } from './policy.ts'
import { clientKeySchema, fitsBytes, NAME_BYTES_MAX, SLUG_FAULT, slugSchema, text, timestampSchema } from './text.ts'
import { concurrencySchema, waitingLimitSchema, weightSchema } from './workspace.ts'

const FILE_CHARS_MAX = 262_144

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,254}$/

/** Each is three words of a program that takes nine thousand. */
const ENV_NAMES_MAX = 1000

const envSchema = stringMapSchema({ pattern: ENV_NAME.source }, (name, value) => {
  if (!ENV_NAME.test(name)) return 'not a name of an environment variable'
  return value.length > 32_768 ? 'longer than 32768 characters' : null
}).refine((env) => Object.keys(env).length <= ENV_NAMES_MAX, { error: `more than ${ENV_NAMES_MAX} names` })

const PATH_MAX = 255
const NOT_A_PATH = `not a relative path without "." and ".." parts (at most ${PATH_MAX} characters, and ${NAME_BYTES_MAX} bytes of UTF-8 in a part)`

const isRelativePath = (path: string): boolean =>
  path.length <= PATH_MAX && !path.includes('\0') && path.split('/').every(isPathPart)

const isPathPart = (part: string): boolean =>
  part !== '' && part !== '.' && part !== '..' && fitsBytes(part, NAME_BYTES_MAX)

const filesSchema = stringMapSchema({ minLength: 1, maxLength: PATH_MAX }, (path, value, files) => {
  if (!isRelativePath(path)) return NOT_A_PATH
  const parent = fileAbove(path, files)
  if (parent !== null) return `lies below ${JSON.stringify(parent)}, which is a file`
  return value.length > FILE_CHARS_MAX ? `longer than ${FILE_CHARS_MAX} characters` : null
})

/** The file that a path leads through as if it were a folder, if any. */
function fileAbove(path: string, files: Readonly<Record<string, string>>): string | null {
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const above = path.slice(0, slash)
    if (Object.hasOwn(files, above)) return above
  }
  return null
}

/** What Linux takes as one argument of a program, less the NUL that ends it. */
const ARGUMENT_BYTES_MAX = 131_071

const argumentSchema = text(1, 32_768).refine((argument) => fitsBytes(argument, ARGUMENT_BYTES_MAX), {
  error: `longer than ${ARGUMENT_BYTES_MAX} bytes of UTF-8`,
})

/** The fields of an agent's config, each by itself. */
export const agentConfigFields = z.strictObject({
  runner: z.literal('process'),
  command: z.array(argumentSchema).min(1).max(256),
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

/** A config that was checked before it was kept: looked at no deeper than its outermost shape. */
export const keptAgentConfigSchema = z.custom<AgentConfig>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  { error: 'expected an object' },
)

export const laneSettingsSchema = z.strictObject({
  concurrency: concurrencySchema.optional(),
  weight: weightSchema.optional(),
  paused: z.boolean().optional(),
})
export type LaneSettings = z.infer<typeof laneSettingsSchema>

/** Lanes of an agent with settings of their own. One change is one step of the gate, which nobody else may feel. */
const LANES_MAX = 1000
/** Zod leaves out a lane of this name without a word. */
const UNSEEN = '__proto__'

const lanesSchema = z.preprocess(
  (lanes, context) => {
    if (Object.keys(Object(lanes)).length > LANES_MAX) {
      context.addIssue({ code: 'custom', message: `more than ${LANES_MAX} lanes` })
      return {}
    }
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
