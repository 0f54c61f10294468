import {
  type AgentConfig,
  type AgentLimits,
  agentConfigSchema,
  agentLimitsSchema,
  type LaneSettings,
  type PatchAgent,
} from '@muster/contracts'
import { AppError } from '@muster/core'
import type { z } from 'zod'

/** One level deep: a field that is given replaces the old one, a null clears it. Throws `invalid_request` when the whole does not fit. */
export function mergeAgentConfig(old: AgentConfig, patch: NonNullable<PatchAgent['config']>): AgentConfig {
  const merged = Object.entries({ ...old, ...withoutUndefined(patch) }).filter(([, value]) => value !== null)
  return whole(agentConfigSchema, 'config', Object.fromEntries(merged))
}

/** Lane by lane and setting by setting; a lane that is not named stays as it is. Throws `invalid_request` when there are too many lanes. */
export function mergeAgentLimits(old: AgentLimits, patch: NonNullable<PatchAgent['limits']>): AgentLimits {
  const lanes: Record<string, LaneSettings> = { ...old.lanes }
  for (const [lane, settings] of Object.entries(patch.lanes ?? {}))
    lanes[lane] = { ...lanes[lane], ...withoutUndefined(settings) }
  const { concurrency = old.concurrency, max_waiting = old.max_waiting } = patch
  return whole(agentLimitsSchema, 'limits', { concurrency, max_waiting, lanes })
}

function whole<T>(schema: z.ZodType<T>, field: 'config' | 'limits', merged: unknown): T {
  const parsed = schema.safeParse(merged)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(({ path, message }) => ({
    pointer: ['', field, ...path].map(String).join('/'),
    detail: message,
  }))
  throw new AppError('invalid_request', `the changed ${field} does not fit together`, { faults })
}

const withoutUndefined = <T extends object>(value: T): T => {
  const kept = { ...value }
  for (const key in kept) if (kept[key] === undefined) delete kept[key]
  return kept
}
