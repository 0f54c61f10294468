import { afterEach, describe, expect, test } from 'vitest'
import { openSmallFleet, type SmallFleet } from './small-fleet.ts'

let fleet: SmallFleet
afterEach(() => fleet.close())

const once = { retry: { max_attempts: 1 } }
const limitsOf = async (runId: string) =>
  (await fleet.database.pool.query('SELECT limits FROM attempts WHERE run_id = $1 ORDER BY number DESC', [runId]))
    .rows[0]?.limits

describe('limits that a node cannot hold', () => {
  test('are refused when a command or its agent names them, and told of an attempt when nobody does', async () => {
    fleet = await openSmallFleet()
    await fleet.worker({ MUSTER_CGROUPS: 'hidden' })
    const agent = await fleet.agent('plain', { command: ['echo', 'hello'] })
    await expect(
      fleet.submit({ agent: agent.key, message: 'm', policy: { resources: { memory_mb: 512 } } }),
    ).rejects.toMatchObject({ code: 'policy_unsupported', message: expect.stringContaining('memory_mb') })
    const strict = await fleet.agent('strict', { command: ['echo'], policy: { resources: { pids: 9 } } })
    await expect(fleet.submit({ agent: strict.key, message: 'm' })).rejects.toMatchObject({
      code: 'policy_unsupported',
    })
    const { run } = await fleet.submit({ agent: agent.key, message: 'm', policy: { resources: { disk_mb: 512 } } })
    await fleet.run(run.id, 'succeeded')
    expect(await limitsOf(run.id)).toMatchObject({ cpu: 'not_enforced', memory: 'not_enforced', disk: 'enforced' })
  })

  test('wait while no node lives, and end the attempt where they cannot be held', async () => {
    fleet = await openSmallFleet()
    const agent = await fleet.agent('plain', { command: ['echo', 'hello'] })
    const { run } = await fleet.submit({
      agent: agent.key,
      message: 'm',
      policy: { ...once, resources: { memory_mb: 512 } },
    })
    expect(run.policy.named_resources).toEqual(['memory_mb'])
    await fleet.worker({ MUSTER_CGROUPS: 'hidden' })
    const ended = await fleet.run(run.id, 'failed', 'succeeded')
    expect(ended.failure).toMatchObject({ code: 'sandbox_unavailable', message: expect.stringContaining('memory_mb') })
  })
})

describe('limits that a node holds', () => {
  test('are told of the attempt, and say which of them ended a run', async ({ skip }) => {
    fleet = await openSmallFleet()
    const worker = await fleet.worker()
    const { rows } = await fleet.database.pool.query('SELECT metadata FROM nodes WHERE id = $1', [worker.nodeId])
    const held = String(rows[0]?.metadata['holds.bubblewrap'])
    if (!held.includes('memory_mb')) skip('this host has no control groups that may be written')
    const agent = await fleet.agent('greedy', { command: ['tail', '/dev/zero'] })
    const { run } = await fleet.submit({
      agent: agent.key,
      message: 'm',
      policy: { ...once, resources: { memory_mb: 64 } },
    })
    const ended = await fleet.run(run.id, 'failed')
    expect(ended.failure).toMatchObject({ code: 'memory_limit_exceeded' })
    expect(await limitsOf(run.id)).toMatchObject({ cpu: 'enforced', memory: 'enforced', pids: 'enforced' })
    const filling = await fleet.agent('filling', { command: ['sh', '-c', 'head -c 40M /dev/zero > x; sleep 60'] })
    const second = await fleet.submit({ agent: filling.key, message: 'm', policy: { resources: { disk_mb: 8 } } })
    expect((await fleet.run(second.run.id, 'failed')).failure).toMatchObject({
      code: 'disk_limit_exceeded',
      retryable: false,
    })
    expect(await fleet.attempts(second.run.id)).toHaveLength(1)
  })
})

describe('the pools of a node', () => {
  test('are those that it can serve, each opt-in: a container where there is a runtime', async ({ skip }) => {
    fleet = await openSmallFleet()
    const worker = await fleet.worker({
      MUSTER_POOLS: 'bubblewrap:1,runc:2,gvisor:1',
      MUSTER_RUNSC_PATH: '/nonexistent',
    })
    const { rows } = await fleet.database.pool.query('SELECT pools FROM nodes WHERE id = $1', [worker.nodeId])
    expect(rows[0]?.pools).not.toHaveProperty('gvisor')
    if (rows[0]?.pools['runc'] !== 2) skip('this host has no runc that works')
    const agent = await fleet.agent('contained', { command: ['sh', '-c', 'echo kept > note; cat note'] })
    const { run } = await fleet.submit({ agent: agent.key, message: 'm', policy: { runtime_type: 'runc' } })
    expect((await fleet.run(run.id, 'succeeded', 'failed')).output).toBe('kept')
    expect(await limitsOf(run.id)).toMatchObject({ memory: 'enforced', syscalls: 'enforced', disk: 'enforced' })
  })
})
