import {
  type AgentConfig,
  type AgentLimits,
  agentConfigSchema,
  type LaneSettings,
  type PatchAgent,
} from '@muster/contracts'

/** One level deep: a field that is given replaces the old one, a null clears it. */
export function mergeAgentConfig(old: AgentConfig, patch: NonNullable<PatchAgent['config']>): AgentConfig {
  const merged = Object.entries({ ...old, ...withoutUndefined(patch) }).filter(([, value]) => value !== null)
  return agentConfigSchema.parse(Object.fromEntries(merged))
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
