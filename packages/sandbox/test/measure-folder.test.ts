import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { lookAtHeld } from '../src/disk/held-files.ts'
import { measureFolder } from '../src/disk/measure-folder.ts'
import { atOnce } from '../src/disk/steps.ts'
import { AGENT, makePlace, makeWorkspace } from './place.ts'

const MIB = 1024 * 1024
const BOUNDS = { bytes: 64 * MIB, files: 100, names: 100, held: 1_000 }

describe('the measure of a folder', () => {
  const place = makePlace()
  afterAll(() => place.remove())

  it.skipIf(process.getuid?.() !== 0)('counts files whatever device they say they are on', () => {
    const at = (path: string) => join(place.root, path)
    for (const path of ['lower', 'upper', 'shown']) mkdirSync(at(path))
    execFileSync('/bin/mount', ['-t', 'tmpfs', 'tmpfs', at('lower')])
    try {
      for (const path of ['lower/files', 'upper/files', 'upper/work']) mkdirSync(at(path))
      const layers = `lowerdir=${at('lower/files')},upperdir=${at('upper/files')},workdir=${at('upper/work')},xino=off`
      execFileSync('/bin/mount', ['-t', 'overlay', 'overlay', '-o', layers, at('shown')])
      try {
        mkdirSync(at('shown/session'))
        writeFileSync(at('shown/session/file'), Buffer.alloc(4 * MIB, 1))
        const size = measureFolder(at('shown/session'), BOUNDS, { pids: [] })
        expect(size.files).toBe(1)
        expect(size.bytes).toBeGreaterThanOrEqual(4 * MIB)
      } finally {
        execFileSync('/bin/umount', [at('shown')])
      }
    } finally {
      execFileSync('/bin/umount', [at('lower')])
    }
  })

  it('counts a file of many names once, and stops where there are too many names', () => {
    const folder = join(place.root, 'names')
    mkdirSync(folder)
    writeFileSync(join(folder, 'first'), '')
    for (let count = 1; count < 50; count += 1) linkSync(join(folder, 'first'), join(folder, String(count)))
    expect(measureFolder(folder, BOUNDS, { pids: [] })).toMatchObject({ files: 1, names: 50 })
    expect(measureFolder(folder, { ...BOUNDS, names: 10 }, { pids: [] })).toMatchObject({ files: 1, names: 11 })
  })

  it.skipIf(AGENT === null)('counts a deleted folder that a process stands in (needs root)', async () => {
    const folder = makeWorkspace(join(place.root, 'left'))
    const { ino } = lstatSync(folder)
    const child = spawn('/bin/sh', ['-c', 'echo there; read x'], { cwd: folder, ...AGENT })
    try {
      await once(child.stdout, 'data')
      const found: number[] = []
      const look = () => atOnce(lookAtHeld({ pids: [child.pid ?? 0] }, 1_000, undefined, (one) => found.push(one.ino)))
      look()
      expect(found).toEqual([])
      execFileSync('/bin/rmdir', [folder])
      look()
      expect(found).toEqual([ino])
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('stops where a sandbox holds more files than may be looked at', () => {
    const size = measureFolder(place.root, { ...BOUNDS, held: 2 }, { pids: [process.pid] })
    expect(size.held).toBeGreaterThan(2)
  })
})
