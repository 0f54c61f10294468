import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { createFileCache } from '../src/index.ts'
import { makePlace } from './place.ts'

describe('the cache of agent files', () => {
  const place = makePlace()
  const root = join(place.root, 'cache')
  afterAll(() => place.remove())

  it('gives the same folder for the same content and another for any difference', async () => {
    const cache = createFileCache(root)
    const folder = await cache.folderOf({ 'a/b': 'x', c: 'y' })
    expect(await cache.folderOf({ c: 'y', 'a/b': 'x' })).toBe(folder)
    expect(readFileSync(join(folder, 'a', 'b'), 'utf8')).toBe('x')
    const others = [{ 'a/b': 'x', c: 'z' }, { 'a/b': 'x' }, { 'a/bx': '', c: 'y' }, { 'a/b': 'xc', y: '' }, {}]
    const folders = await Promise.all(others.map((files) => cache.folderOf(files)))
    expect(new Set([folder, ...folders]).size).toBe(others.length + 1)
  })

  it('is filled by many workers at once with one whole folder', async () => {
    const files = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}`, `content ${index}`]))
    const folders = await Promise.all(Array.from({ length: 10 }, () => createFileCache(root).folderOf(files)))
    expect(new Set(folders).size).toBe(1)
    expect(readdirSync(folders[0] ?? '')).toHaveLength(50)
    expect(readdirSync(join(root, 'files')).filter((name) => name.startsWith('.'))).toEqual([])
  })

  it('can be passed and not listed by others, one that was left open too', async () => {
    const base = join(place.root, 'open', 'files')
    mkdirSync(base, { recursive: true })
    chmodSync(base, 0o755)
    const folder = await createFileCache(join(place.root, 'open')).folderOf({ a: 'x' })
    expect(statSync(base).mode & 0o777).toBe(0o711)
    expect(statSync(folder).mode & 0o777).toBe(0o755)
  })

  it.each(['../x', '/x', 'a/../../x', '.', 'a\0b'])('refuses a path outside the folder: %j', async (path) => {
    await expect(createFileCache(root).folderOf({ [path]: '' })).rejects.toThrow('not a relative path')
  })

  it('forgets what was not used for long, and makes it again when it is', async () => {
    const cache = createFileCache(root)
    const folder = await cache.folderOf({ old: 'old' })
    utimesSync(folder, 1, 1)
    const fresh = await cache.folderOf({ fresh: 'fresh' })
    expect(await cache.prune(86_400_000)).toBe(1)
    expect(readFileSync(join(fresh, 'fresh'), 'utf8')).toBe('fresh')
    expect(readFileSync(join(await cache.folderOf({ old: 'old' }), 'old'), 'utf8')).toBe('old')
  })

  it('keeps what is shown for longer than one sandbox, and makes it again when another worker forgot it', async () => {
    const cache = createFileCache(root)
    const held = await cache.hold({ held: 'held' })
    utimesSync(held.folder, 1, 1)
    await createFileCache(root).prune(86_400_000)
    expect(existsSync(held.folder)).toBe(false)
    await held.keep()
    expect(readFileSync(join(held.folder, 'held'), 'utf8')).toBe('held')
    const other = createFileCache(root)
    utimesSync(held.folder, 1, 1)
    await (await other.hold({ held: 'held' })).keep()
    expect(await cache.prune(86_400_000)).toBe(0)
  })

  it('never shows half of a folder that is being forgotten', async () => {
    const cache = createFileCache(root)
    const files = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`f${index}`, '']))
    const folder = await cache.folderOf(files)
    utimesSync(folder, 1, 1)
    const pruning = cache.prune(86_400_000).then(() => 'pruned')
    for (let state = 'pruning'; state === 'pruning'; state = await Promise.race([pruning, delay(0, 'pruning')]))
      if (existsSync(folder)) expect(readdirSync(folder)).toHaveLength(500)
    expect(existsSync(folder)).toBe(false)
  })
})
