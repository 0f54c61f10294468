import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { boundFolder, folderBounds } from '../src/disk/bound-folder.ts'
import { meterFolder } from '../src/disk/folder-meter.ts'
import type { SandboxExit, SandboxProcess } from '../src/index.ts'
import { createBubblewrap } from '../src/index.ts'
import { makePlace, makeSpec, startedProcess } from './place.ts'

const RESOURCES = { cpu: 1, memory_mb: 64, pids: 64, disk_mb: 16 }
const FAILED: SandboxExit = { code: 1, signal: null, fault: null, breach: null }

describe('the bound of a folder', () => {
  const place = makePlace()
  afterAll(() => place.remove())

  it('lets no folder have more names than can be walked through in a few seconds', () => {
    expect(folderBounds({ ...RESOURCES, disk_mb: 32_768 })).toMatchObject({ files: 500_000, names: 500_000 })
    expect(folderBounds(RESOURCES)).toMatchObject({ files: 4_096, names: 16_384 })
  })

  it('tells of the end without a last look that takes too long', async () => {
    const sandbox = createBubblewrap({ cacheRoot: join(place.root, 'cache') })
    const real = startedProcess(await sandbox.start(makeSpec()))
    await real.exited
    const process: SandboxProcess = { ...real, exited: Promise.resolve(FAILED) }
    const begun = performance.now()
    const processes = () => new Promise<never>(() => undefined)
    const bounded = boundFolder(process, { folder: place.root, bounds: folderBounds(RESOURCES), processes })
    expect(await bounded.exited).toEqual(FAILED)
    expect(performance.now() - begun).toBeLessThan(10_000)
  })

  it('is looked at while a folder of another takes long', async () => {
    const [large, small] = [join(place.root, 'large'), join(place.root, 'small')]
    mkdirSync(small)
    mkdirSync(large)
    writeFileSync(join(large, 'f'), '')
    for (let count = 0; count < 20_000; count += 1) linkSync(join(large, 'f'), join(large, String(count)))
    const bounds = { bytes: 1e9, files: 1e6, names: 1e6, held: 1e6 }
    const order: string[] = []
    const look = async (folder: string) => {
      await meterFolder({ folder, bounds, processes: { pids: [] } }, new AbortController().signal)
      order.push(folder)
    }
    await Promise.all([look(large), look(small)])
    expect(order).toEqual([small, large])
  })

  it('stops a measure that nobody waits for', async () => {
    const bounds = { bytes: 1e9, files: 1e6, names: 1e6, held: 1e6 }
    const given = new AbortController()
    const asked = meterFolder({ folder: join(place.root, 'large'), bounds, processes: { pids: [] } }, given.signal)
    given.abort()
    await expect(asked).rejects.toThrow('given up')
  })
})
