import { copyFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PoolHealth } from '../src/pool-health.ts'
import { openSmallFleet, SHELL, type SmallFleet } from './small-fleet.ts'

let fleet: SmallFleet
beforeAll(async () => {
  fleet = await openSmallFleet()
  await fleet.agent('shell', { command: [...SHELL] })
})
afterAll(() => fleet.close())

const log = { error: () => undefined, info: () => undefined }

test('what a run does wrong closes no pool, and one trial answers all who ask at once', async () => {
  let trials = 0
  const probe = async () => {
    trials += 1
    return { kind: 'usable', holds: [], missing: [] } as const
  }
  let changes = 0
  const onChange = () => {
    changes += 1
  }
  const health = new PoolHealth({
    pools: { none: 2 },
    sandboxes: new Map([['none', { probe }]]),
    logger: log,
    onChange,
  })
  expect(await Promise.all(Array.from({ length: 5 }, () => health.faultOf('none')))).toEqual(Array(5).fill(null))
  expect([trials, changes, health.serving]).toEqual([1, 0, { none: 2 }])
})

test('a trial that throws is a fault, and nothing is tried or told once it is stopped', async () => {
  const trials: string[] = []
  const held = Promise.withResolvers<never>()
  const probe = (): Promise<never> => {
    trials.push('begun')
    return trials.length === 1 ? Promise.reject(new Error('no room')) : held.promise
  }
  const changes: unknown[] = []
  const health: PoolHealth = new PoolHealth({
    pools: { none: 2 },
    sandboxes: new Map([['none', { probe }]]),
    logger: log,
    onChange: () => changes.push(health.serving),
    tryAgainMs: 5,
  })
  expect(await health.faultOf('none')).toBe('no room')
  await until(() => trials.length === 2, { what: 'the second trial' })
  health.stop()
  held.reject(new Error('still no room'))
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect([trials.length, changes]).toEqual([2, [{}]])
})

test('a node on which no sandbox begins any more leaves its runs to the others, uncharged, and serves again when one does', async () => {
  const [program, gone] = [join(fleet.home, 'bwrap'), join(fleet.home, 'gone')]
  await copyFile(process.env['MUSTER_BWRAP_PATH'] ?? '/usr/bin/bwrap', program)
  const sick = await fleet.worker({ MUSTER_POOLS: 'bubblewrap:4', MUSTER_BWRAP_PATH: program })
  const healthy = await fleet.worker({ MUSTER_POOLS: 'bubblewrap:1' })
  await rename(program, gone)
  const sent: string[] = []
  for (let n = 0; n < 12; n++)
    sent.push((await fleet.submit({ agent: 'shell', message: 'sleep 0.2; echo ran' })).run.id)
  for (const runId of sent) {
    expect(await fleet.run(runId, 'succeeded', 'failed')).toMatchObject({ status: 'succeeded', output: 'ran' })
    const attempts = await fleet.attempts(runId)
    expect(attempts.filter(({ status }) => status === 'failed')).toEqual([])
    expect(attempts.at(-1)?.node_id).toBe(healthy.nodeId)
  }
  const pools = async () =>
    (await fleet.database.pool.query('SELECT pools FROM nodes WHERE id = $1', [sick.nodeId])).rows[0]?.pools
  expect(await pools()).toEqual({})
  const ready = await fetch(`${sick.healthUrl}/readyz`)
  expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('bubblewrap')])
  await rename(gone, program)
  await until(async () => (await pools())?.bubblewrap === 4, { what: 'the pool to be served again' })
  await healthy.drain()
  const { run } = await fleet.submit({ agent: 'shell', message: 'echo again' })
  expect(await fleet.run(run.id, 'succeeded', 'failed')).toMatchObject({ output: 'again' })
})
