import {
  type AgentConfig,
  type AgentLimits,
  agentConfigSchema,
  type LaneSettings,
  type PatchAgent,
} from '@muster/contracts'
import { AppError } from '@muster/core'

/** One level deep: a field that is given replaces the old one, a null clears it. Throws `invalid_request` when the whole does not fit. */
export function mergeAgentConfig(old: AgentConfig, patch: NonNullable<PatchAgent['config']>): AgentConfig {
  const merged = Object.entries({ ...old, ...withoutUndefined(patch) }).filter(([, value]) => value !== null)
  const config = agentConfigSchema.safeParse(Object.fromEntries(merged))
  if (config.success) return config.data
  const faults = config.error.issues.map(({ path, message }) => ({
    pointer: ['', 'config', ...path].map(String).join('/'),
    detail: message,
  }))
  throw new AppError('invalid_request', 'the changed config does not fit together', { faults })
}

/** Lane by lane and setting by setting; a lane that is not named stays as it is. */
export function mergeAgentLimits(old: AgentLimits, patch: NonNullable<PatchAgent['limits']>): AgentLimits {
  const lanes: Record<string, LaneSettings> = { ...old.lanes }
  for (const [lane, settings] of Object.entries(patch.lanes ?? {}))
    lanes[lane] = { ...lanes[lane], ...withoutUndefined(settings) }
  const { concurrency = old.concurrency, max_waiting = old.max_waiting } = patch
  return { concurrency, max_waiting, lanes }
}

const withoutUndefined = <T extends object>(value: T): T => {
  const kept = { ...value }
  for (const key in kept) if (kept[key] === undefined) delete kept[key]
  return kept
}
