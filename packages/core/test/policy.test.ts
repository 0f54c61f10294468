import { DEFAULT_POLICY, POOLS, type Policy, type PolicyInput } from '@muster/contracts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  classKeyOf,
  classPolicyOf,
  namedFields,
  normalizePolicy,
  retryDelayMs,
  unsupportedPolicy,
} from '../src/index.ts'

const place = { workspaceId: 'wsp_1', agentId: 'agt_1', lane: 'main' }
const keyOf = (policy: Policy, at: Partial<typeof place> = {}) => classKeyOf({ ...place, ...at }, classPolicyOf(policy))

describe('a policy', () => {
  test('takes each field from the command, else from the agent, else from the default, at every level', () => {
    const agent: PolicyInput = {
      network_enabled: true,
      workspace_access: 'ro',
      resources: { cpu: 4, pids: 9 },
      retry: { delay_ms: 7 },
    }
    const command: PolicyInput = { workspace_access: 'none', resources: { cpu: 2 }, retry: { max_attempts: 9 } }
    expect(normalizePolicy(agent, command)).toEqual({
      ...DEFAULT_POLICY,
      network_enabled: true,
      workspace_access: 'none',
      resources: { ...DEFAULT_POLICY.resources, cpu: 2, pids: 9 },
      retry: { ...DEFAULT_POLICY.retry, delay_ms: 7, max_attempts: 9 },
      named_resources: ['cpu', 'pids'],
    })
    expect(normalizePolicy(undefined, undefined)).toEqual(DEFAULT_POLICY)
    expect(normalizePolicy({ network_enabled: true }, { network_enabled: false }).network_enabled).toBe(false)
  })

  test('waits between tries as long as it was told to, unless a shorter bound was asked for too', () => {
    const day = 86_400_000
    const waitOf = (agent: PolicyInput, command: PolicyInput) => retryDelayMs(normalizePolicy(agent, command).retry, 1)
    expect(waitOf({}, { retry: { delay_ms: day } })).toBe(day)
    expect(waitOf({ retry: { delay_ms: day } }, { retry: { max_attempts: 3 } })).toBe(day)
    expect(waitOf({ retry: { max_delay_ms: 5 } }, { retry: { delay_ms: day } })).toBe(5)
    expect(normalizePolicy({}, { retry: { delay_ms: 1 } }).retry).toEqual({ ...DEFAULT_POLICY.retry, delay_ms: 1 })
  })

  test('names the resources that anybody asked for, once', () => {
    expect([...namedFields({ resources: { cpu: 1 } }, { ask: 'off' })].sort()).toEqual(['ask', 'resources'])
    expect(namedFields({}, undefined)).toEqual(new Set())
  })

  test('is refused where no sandbox is to hold a wall that was asked for', () => {
    const bare: Policy = { ...DEFAULT_POLICY, runtime_type: 'none' }
    expect(unsupportedPolicy(bare, new Set(), null)).toEqual([])
    const walled = unsupportedPolicy({ ...bare, workspace_access: 'ro' }, new Set(['network_enabled']), null)
    expect(walled.map((fault) => fault.pointer)).toEqual(['/policy/workspace_access', '/policy/network_enabled'])
  })

  test('is refused field by field for what cannot be held, and only for that', () => {
    const held = new Set(['cpu'] as const)
    expect(unsupportedPolicy(DEFAULT_POLICY, new Set(), held)).toEqual([])
    expect(unsupportedPolicy({ ...DEFAULT_POLICY, named_resources: ['cpu'] }, new Set(), held)).toEqual([])
    expect(unsupportedPolicy({ ...DEFAULT_POLICY, named_resources: ['pids'] }, new Set(), null)).toEqual([])
    const asking: Policy = {
      ...DEFAULT_POLICY,
      ask: 'always',
      security: 'full',
      interactive: true,
      named_resources: ['cpu', 'pids'],
    }
    expect(unsupportedPolicy(asking, new Set(), held).map((fault) => fault.pointer)).toEqual([
      '/policy/ask',
      '/policy/security',
      '/policy/interactive',
      '/policy/resources/pids',
    ])
  })
})

describe('a class key', () => {
  test.for([
    ['security', 'deny'],
    ['ask', 'always'],
    ['runtime_type', 'none'],
    ['workspace_access', 'ro'],
    ['network_enabled', true],
    ['interactive', true],
  ] as const)('differs when %s differs', ([field, value]) => {
    expect(keyOf({ ...DEFAULT_POLICY, [field]: value })).not.toBe(keyOf(DEFAULT_POLICY))
  })

  test('differs by workspace, agent and lane, also where their texts join to the same', () => {
    const keys = [
      {},
      { workspaceId: 'wsp_2' },
      { agentId: 'agt_2' },
      { lane: 'side' },
      { workspaceId: 'wsp_1agt', agentId: '_1' },
    ].map((at) => keyOf(DEFAULT_POLICY, at))
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('is the same whatever the retries are, and for resources that round up to the same', () => {
    expect(keyOf({ ...DEFAULT_POLICY, named_resources: ['cpu'] })).toBe(keyOf(DEFAULT_POLICY))
    const resources = { cpu: 0.6, memory_mb: 900, pids: 1, disk_mb: 2 }
    expect(keyOf({ ...DEFAULT_POLICY, retry: { ...DEFAULT_POLICY.retry, max_attempts: 99 } })).toBe(
      keyOf(DEFAULT_POLICY),
    )
    expect(keyOf({ ...DEFAULT_POLICY, resources })).toBe(keyOf(DEFAULT_POLICY))
    expect(keyOf({ ...DEFAULT_POLICY, resources: { ...resources, cpu: 1.1 } })).not.toBe(keyOf(DEFAULT_POLICY))
  })

  test('rounds resources up to the step, never down, and rounding again changes nothing', () => {
    const resources = fc.record({
      cpu: fc.double({ min: 0.001, max: 1024, noNaN: true }),
      memory_mb: fc.integer({ min: 1, max: 4_194_304 }),
      pids: fc.integer({ min: 1, max: 4_194_304 }),
      disk_mb: fc.integer({ min: 1, max: 1_073_741_824 }),
    })
    const steps = { cpu: 0.5, memory_mb: 256, pids: 256, disk_mb: 1024 }
    fc.assert(
      fc.property(resources, fc.constantFrom(...POOLS), (asked, runtime_type) => {
        const policy: Policy = { ...DEFAULT_POLICY, runtime_type, resources: asked }
        const rounded = classPolicyOf(policy)
        for (const name of ['cpu', 'memory_mb', 'pids', 'disk_mb'] as const) {
          expect(rounded.resources[name]).toBeGreaterThanOrEqual(asked[name])
          expect(rounded.resources[name] - asked[name]).toBeLessThan(steps[name])
          expect(rounded.resources[name] % steps[name]).toBe(0)
        }
        expect(keyOf({ ...policy, resources: rounded.resources })).toBe(keyOf(policy))
        expect(keyOf(policy)).toMatch(/^cls_[0-9a-f]{32}$/)
      }),
    )
  })
})
