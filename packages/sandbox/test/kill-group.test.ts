import { once } from 'node:events'
import { join } from 'node:path'
import { newId } from '@muster/core'
import { afterAll, describe, expect, it } from 'vitest'
import { createBubblewrap, createNone, killGroup } from '../src/index.ts'
import { living, makePlace, makeSpec, startedProcess, uniqueSleep } from './place.ts'

describe.each([
  ['bubblewrap', createBubblewrap],
  ['none', createNone],
])('killing a group in %s', (_name, create) => {
  const place = makePlace()
  const sandbox = create({ cacheRoot: join(place.root, 'cache') })
  afterAll(() => place.remove())

  it('misses nothing that was started, however young: not even between two programs', { timeout: 60_000 }, async () => {
    const sleep = uniqueSleep()
    for (let round = 0; round < 60; round += 1) {
      const spec = makeSpec({ command: ['sleep', sleep] })
      const process = startedProcess(await sandbox.start(spec))
      const outcome = await killGroup({ runId: spec.group.runId })
      expect(outcome.kind === 'gone' && outcome.killed > 0).toBe(true)
      await process.exited
    }
    expect(living(sleep)).toEqual([])
  })

  it('of one attempt leaves the others alone', { timeout: 30_000 }, async () => {
    const spec = makeSpec({ command: ['cat'] })
    const start = async (generation: number) =>
      startedProcess(await sandbox.start({ ...spec, group: { ...spec.group, generation } }))
    const [first, second] = await Promise.all([start(1), start(2)])
    expect(await killGroup({ runId: spec.group.runId, generationBelow: 2 })).toMatchObject({ kind: 'gone' })
    await first.exited
    second.stdin.end()
    expect(await second.exited).toMatchObject({ code: 0 })
  })
})

describe('a search through thousands of processes', () => {
  const place = makePlace()
  const sandbox = createBubblewrap({ cacheRoot: join(place.root, 'cache') })
  afterAll(() => place.remove())

  it('lets whatever else waits for the thread have its turn meanwhile', { timeout: 60_000 }, async () => {
    const script = '$| = 1; for (1..1500) { next if fork; sleep 1000; exit } print "there"; sleep 1000'
    const resources = { cpu: 2, memory_mb: 4_096, pids: 1_600, disk_mb: 64 }
    const process = startedProcess(await sandbox.start(makeSpec({ command: ['perl', '-e', script], resources })))
    await once(process.stdout, 'data')
    let turns = 0
    const count = () => {
      turns += 1
      counting = setImmediate(count)
    }
    let counting = setImmediate(count)
    const outcome = await killGroup({ runId: newId('run') })
    clearImmediate(counting)
    expect(outcome).toEqual({ kind: 'gone', killed: 0 })
    expect(turns).toBeGreaterThan(5)
    await process.kill()
  })
})
