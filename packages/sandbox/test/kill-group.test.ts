import { join } from 'node:path'
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
