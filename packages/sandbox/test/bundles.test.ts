import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBundles } from '../src/index.ts'
import { makePlace } from './place.ts'

describe('the folder of bundles', () => {
  const place = makePlace()
  const root = join(place.root, 'bundles')
  const bundles = createBundles(root)

  beforeAll(() => {
    mkdirSync(join(root, 'tools/one'), { recursive: true })
    mkdirSync(join(place.root, 'bundles-secret'))
    writeFileSync(join(root, 'file'), '')
    symlinkSync('tools/one', join(root, 'current'))
    symlinkSync('../bundles-secret', join(root, 'beside'))
    symlinkSync('/etc', join(root, 'etc'))
    symlinkSync('.', join(root, 'itself'))
    symlinkSync('round', join(root, 'round'))
  })
  afterAll(() => place.remove())

  it('finds what lies below it, links within it included', async () => {
    expect(await bundles.find('tools/one')).toEqual({ kind: 'found', folder: join(root, 'tools/one') })
    expect(await bundles.find('current')).toEqual({ kind: 'found', folder: join(root, 'tools/one') })
  })

  it('may be a link itself, and is followed where it leads now', async () => {
    symlinkSync(root, join(place.root, 'linked'))
    const linked = createBundles(join(place.root, 'linked'))
    expect(await linked.find('current')).toMatchObject({ kind: 'found' })
    expect(await linked.find('beside')).toMatchObject({ kind: 'absent' })
  })

  it.each(['beside', 'etc', 'etc/ssl', 'itself'])('refuses %s, which leads out of it', async (path) => {
    expect(await bundles.find(path)).toEqual({ kind: 'absent', reason: expect.stringContaining('leads out') })
  })

  it.each([
    '',
    '.',
    '..',
    '../bundles-secret',
    'tools/../../bundles-secret',
    '/etc',
    'tools//one',
    './tools',
    'tools/',
    'a\0b',
  ])('refuses %j, which is no path below it', async (path) => {
    expect(await bundles.find(path)).toEqual({ kind: 'absent', reason: expect.stringContaining('not named by a path') })
  })

  it.each(['nothing', 'file', 'file/below', 'round', '__proto__', 'x'.repeat(300)])('has no %s', async (path) => {
    const found = await bundles.find(path)
    expect(found).toMatchObject({ kind: 'absent' })
    expect(JSON.stringify(found)).not.toContain(place.root)
  })

  it('refuses what agents may not pass', async () => {
    const dark = join(root, 'dark')
    mkdirSync(dark)
    chmodSync(dark, 0o700)
    const looked = await createBundles(root).find('dark')
    expect(looked.kind).toBe(process.getuid?.() === 0 ? 'absent' : 'found')
  })

  it('is no folder at all where the operator named none', async () => {
    expect(await createBundles(null).find('tools/one')).toMatchObject({ kind: 'absent' })
  })
})
