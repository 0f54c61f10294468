import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createOci } from '../src/index.ts'
import { unpackImage } from '../src/oci/unpack-image.ts'
import { missingFor } from './adapters.ts'
import { makePlace, makeSpec, runToEnd } from './place.ts'

const place = makePlace()
afterAll(() => place.remove())

/** Puts a blob into a layout and answers what refers to it. */
function addBlob(layout: string, content: Buffer, mediaType: string) {
  const digest = createHash('sha256').update(content).digest('hex')
  mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true })
  writeFileSync(join(layout, 'blobs', 'sha256', digest), content)
  return { mediaType, digest: `sha256:${digest}`, size: content.length }
}

/** An image of layers, each a folder of the test's. */
function makeLayout(name: string, layers: readonly string[]): string {
  const layout = join(place.root, name)
  const made = layers.map((folder) => {
    const tar = execFileSync('tar', ['-czf', '-', '-C', folder, '.'], { maxBuffer: 1024 ** 3 })
    return addBlob(layout, tar, 'application/vnd.oci.image.layer.v1.tar+gzip')
  })
  const manifest = addBlob(
    layout,
    Buffer.from(JSON.stringify({ schemaVersion: 2, layers: made })),
    'application/vnd.oci.image.manifest.v1+json',
  )
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'latest' } }
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }))
  return layout
}

function makeFiles(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(place.root, name)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  return folder
}

describe('an image from a layout on disk', () => {
  const first = makeFiles('first', { 'etc/kept': '1', 'etc/gone': '1', 'data/old': '1' })
  const second = makeFiles('second', { 'etc/.wh.gone': '', 'data/.wh..wh..opq': '', 'data/new': '2' })

  it('is unpacked layer by layer, once', async () => {
    const layout = makeLayout('image', [first, second])
    const cacheRoot = join(place.root, 'unpacked')
    const folder = await unpackImage({ layout, reference: 'latest' }, cacheRoot)
    expect(readFileSync(join(folder, 'etc/kept'), 'utf8')).toBe('1')
    expect(readFileSync(join(folder, 'data/new'), 'utf8')).toBe('2')
    for (const path of ['etc/gone', 'data/old', 'etc/.wh.gone']) expect(existsSync(join(folder, path))).toBe(false)
    expect(await unpackImage({ layout }, cacheRoot)).toBe(folder)
    await expect(unpackImage({ layout, reference: 'other' }, cacheRoot)).rejects.toThrow('no image other')
  })

  it('is refused when a blob is not what its digest says', async () => {
    const layout = makeLayout('broken', [first])
    const { manifests } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'))
    appendFileSync(join(layout, 'blobs', ...manifests[0].digest.split(':')), ' ')
    await expect(unpackImage({ layout }, join(place.root, 'unpacked'))).rejects.toThrow('not what its digest says')
  })

  it('is refused when a layer would write or delete through a link that leads out of it', async () => {
    const outside = makeFiles('outside', { victim: 'kept' })
    const linking = makeFiles('linking', { 'etc/name': '1' })
    symlinkSync(outside, join(linking, 'out'))
    symlinkSync('etc', join(linking, 'within'))
    for (const [name, path] of [
      ['writing', 'out/new'],
      ['writing-deeper', 'out/deep/er/new'],
      ['deleting', 'out/.wh.victim'],
    ] as const) {
      const layout = makeLayout(`image-${name}`, [linking, makeFiles(name, { [path]: '' })])
      await expect(unpackImage({ layout }, join(place.root, `escaped-${name}`))).rejects.toThrow(
        'leads out of its image',
      )
      expect(readdirSync(join(place.root, `escaped-${name}`, 'roots'))).toEqual([])
    }
    expect(readdirSync(outside)).toEqual(['victim'])
    const layout = makeLayout('image-within', [linking, makeFiles('inner', { 'within/new': '2' })])
    expect(existsSync(join(await unpackImage({ layout }, join(place.root, 'inner-cache')), 'etc/name'))).toBe(true)
  })

  it('loses what a layer takes away, whatever its name', async () => {
    const named = makeFiles('named', { 'ä ö': '1', kept: '1' })
    const layout = makeLayout('image-named', [named, makeFiles('unnamed', { '.wh.ä ö': '' })])
    expect(readdirSync(await unpackImage({ layout }, join(place.root, 'named-cache')))).toEqual(['kept'])
  })

  const missing = missingFor('runc')
  it.skipIf(missing !== null)(`is the root of its containers${missing === null ? '' : ` (${missing})`}`, async () => {
    const image = makeFiles('programs', { 'etc/name': 'image', 'tmp/.place': '' })
    const libraries = execFileSync(
      'ldd',
      ['/bin/sh', '/usr/bin/node', '/bin/cat'].filter((path) => existsSync(path)),
    )
      .toString()
      .match(/\/\S+\.so\S*/g)
    for (const path of new Set([...(libraries ?? []), '/bin/sh', '/bin/cat'])) {
      mkdirSync(dirname(join(image, path)), { recursive: true })
      copyFileSync(realpathSync(path), join(image, path))
    }
    const root = { kind: 'image', layout: makeLayout('programs-image', [image]) } as const
    const sandbox = createOci({ runtime: 'runc', cacheRoot: join(place.root, 'cache'), root })
    const end = await runToEnd(
      sandbox,
      makeSpec({ command: ['/bin/sh', '-c', 'cat /etc/name; echo " $0"; cat /etc/shadow /usr/bin/env'] }),
    )
    expect(end).toMatchObject({ stdout: 'image /bin/sh\n', fault: null })
  })
})
