import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createAttachmentFolders } from '../src/index.ts'
import { makePlace } from './place.ts'

const place = makePlace()
const folders = createAttachmentFolders(place.root)
afterAll(() => place.remove())

it('holds exactly the files that came, whatever their names, to be read and not listed with those of others', async () => {
  const names = ['plain.txt', ' ', '\n', '*', '-rf', '..x', '\u{1f980}', '__proto__', 'a\\b', `'; rm -rf ~`]
  const bytes = Uint8Array.of(0, 255, 10, 0)
  const { folder, remove } = await folders.open([
    ...names.map((name) => ({ name, content: name })),
    { name: 'bytes', content: bytes },
  ])
  expect(readdirSync(folder).sort()).toEqual([...names, 'bytes'].sort())
  for (const name of names) expect(readFileSync(join(folder, name), 'utf8')).toBe(name)
  expect(new Uint8Array(readFileSync(join(folder, 'bytes')))).toEqual(bytes)
  expect(statSync(join(folder, 'bytes')).mode & 0o777).toBe(0o444)
  expect(statSync(join(folder, '..')).mode & 0o777).toBe(0o711)
  await remove()
  expect(existsSync(folder)).toBe(false)
  await remove()
})

it.each(['', '.', '..', '../out', 'a/b', '/etc/passwd', 'nul\0', 'x'.repeat(256)])(
  'refuses the name %j and leaves nothing behind',
  async (name) => {
    await expect(
      folders.open([
        { name: 'first', content: '' },
        { name, content: '' },
      ]),
    ).rejects.toThrow()
    expect(readdirSync(join(place.root, 'attachments'))).toEqual([])
  },
)

it('prunes what a worker left behind', async () => {
  const [old, young] = [await folders.open([]), await folders.open([])]
  utimesSync(old.folder, 1, 1)
  expect(await folders.prune(3_600_000)).toBe(1)
  expect([existsSync(old.folder), existsSync(young.folder)]).toEqual([false, true])
  await young.remove()
})
