import type { Policy, PolicyInput } from '@muster/contracts'
import { classKeyOf, classPolicyOf, namedFields, normalizePolicy } from '@muster/core'
import type { ResolvedAgent } from './resolve-agent.ts'

/** A policy and what follows from it. */
export type PolicyTerms = {
  /** Frozen: commands share it. */
  readonly policy: Policy
  /** The fields that were asked for by name. */
  readonly named: ReadonlySet<string>
  /** By lane. */
  readonly classKeys: Map<string, string>
}

type Place = { readonly workspaceId: string; readonly agentId: string; readonly lane: string }
type Kept = { readonly version: number; readonly terms: PolicyTerms }

const AGENTS_KEPT_MAX = 10_000
const LANES_KEPT_MAX = 100

/** Of commands without a policy of their own, by agent. A version of an agent has one configuration for good, so that these are never behind it. */
const keptTerms = new Map<string, Kept>()

/** The terms of a command with this policy of its own, or with none: then they are the same object for each command to a version of an agent. */
export function policyTermsOf(agent: ResolvedAgent, own: PolicyInput | undefined): PolicyTerms {
  if (own !== undefined) return newTerms(agent.config.policy, own)
  const kept = keptTerms.get(agent.id)
  if (kept?.version === agent.version) return kept.terms
  const terms = newTerms(agent.config.policy, undefined)
  if (keptTerms.size >= AGENTS_KEPT_MAX) keptTerms.clear()
  keptTerms.set(agent.id, { version: agent.version, terms })
  return terms
}

/** The class of these terms in a lane of their agent. */
export function classKeyIn({ policy, classKeys }: PolicyTerms, place: Place): string {
  const known = classKeys.get(place.lane)
  if (known !== undefined) return known
  const key = classKeyOf(place, classPolicyOf(policy))
  if (classKeys.size >= LANES_KEPT_MAX) classKeys.clear()
  classKeys.set(place.lane, key)
  return key
}

const newTerms = (agent: PolicyInput | undefined, own: PolicyInput | undefined): PolicyTerms => ({
  policy: frozen(normalizePolicy(agent, own)),
  named: namedFields(agent, own),
  classKeys: new Map(),
})

function frozen(policy: Policy): Policy {
  Object.freeze(policy.resources)
  Object.freeze(policy.retry)
  Object.freeze(policy.named_resources)
  return Object.freeze(policy)
}
