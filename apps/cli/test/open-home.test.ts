import { mkdirSync, realpathSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { removeScratchFolder, scratchFolder } from '@muster/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openHome } from '../src/home/open-home.ts'

let folder: string
beforeEach(() => {
  folder = scratchFolder()
})
afterEach(() => removeScratchFolder(folder))

test('agents can pass to their folders, whatever the umask', () => {
  const umask = process.umask(0o077)
  const home = openHome(join(folder, 'home'))
  process.umask(umask)
  for (const each of [home.folder, home.sessions, home.cache]) expect(statSync(each).mode & 0o777).toBe(0o711)
})

test('a home behind a link is known by where it really is, so that closed folders on the way are seen', () => {
  mkdirSync(join(folder, 'real'))
  symlinkSync(join(folder, 'real'), join(folder, 'link'))
  expect(openHome(join(folder, 'link')).postgres).toBe(join(realpathSync(folder), 'real', 'postgres'))
})
