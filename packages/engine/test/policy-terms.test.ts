import { classKeyOf, classPolicyOf, normalizePolicy } from '@muster/core'
import { expect, test } from 'vitest'
import { classKeyIn, policyTermsOf } from '../src/policy-terms.ts'
import type { ResolvedAgent } from '../src/resolve-agent.ts'

const agentOf = (id: string, version: number, network_enabled: boolean): ResolvedAgent => ({
  id,
  key: 'mail',
  version,
  active: true,
  config: { runner: 'process', command: ['true'], policy: { network_enabled, resources: { cpu: 2 } } },
})

test('commands to one version of an agent share a policy that nobody can change, however often the agent is read', () => {
  const { policy } = policyTermsOf(agentOf('agt_shared', 1, true), undefined)
  expect(policyTermsOf(agentOf('agt_shared', 1, true), undefined).policy).toBe(policy)
  expect(policy).toEqual(normalizePolicy(agentOf('agt_shared', 1, true).config.policy, undefined))
  expect([policy, policy.resources, policy.retry, policy.named_resources].every(Object.isFrozen)).toBe(true)
})

test('another version, another agent and a policy of the command have terms of their own', () => {
  const first = agentOf('agt_first', 1, true)
  policyTermsOf(first, undefined)
  expect(policyTermsOf(agentOf('agt_first', 2, false), undefined).policy.network_enabled).toBe(false)
  expect(policyTermsOf(first, undefined).policy.network_enabled).toBe(true)
  expect(policyTermsOf(agentOf('agt_other', 1, false), undefined).policy.network_enabled).toBe(false)
  const own = policyTermsOf(first, { network_enabled: false })
  expect(own.policy.network_enabled).toBe(false)
  expect([...own.named].toSorted()).toEqual(['network_enabled', 'resources'])
  expect(policyTermsOf(first, undefined).policy.network_enabled).toBe(true)
})

test('each lane has its class', () => {
  const terms = policyTermsOf(agentOf('agt_lanes', 1, true), undefined)
  for (const lane of ['main', ...Array.from({ length: 150 }, (_, index) => `lane-${index}`), 'main']) {
    const place = { workspaceId: 'wsp_one', agentId: 'agt_lanes', lane }
    expect(classKeyIn(terms, place)).toBe(classKeyOf(place, classPolicyOf(terms.policy)))
  }
})
