import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { newId } from '@muster/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { measureFolder } from '../src/disk/measure-folder.ts'
import { createSessionFolders, proveRoot, type SessionFolders, sessionUser } from '../src/index.ts'
import { makePlace } from './place.ts'

describe('session folders', () => {
  let place: ReturnType<typeof makePlace>
  let folders: SessionFolders
  const name = newId('session')
  const user = sessionUser(name)
  const owner = user?.uid ?? process.getuid?.()

  beforeEach(() => {
    place = makePlace()
    folders = createSessionFolders(join(place.root, 'data'))
  })
  afterEach(() => place.remove())

  it('belong to the agents alone and stay the same from run to run', async () => {
    const folder = await folders.open(name)
    writeFileSync(join(folder, 'kept'), 'kept')
    expect(await folders.open(name)).toBe(folder)
    expect(readFileSync(join(folder, 'kept'), 'utf8')).toBe('kept')
    expect(statSync(folder)).toMatchObject({ uid: owner })
    expect(statSync(folder).mode & 0o777).toBe(0o700)
  })

  it.skipIf(user === null)('belong each to a user of its own, whoever opens them (needs root)', async () => {
    const others = Array.from({ length: 50 }, () => newId('session'))
    const owners = await Promise.all(others.map(async (other) => statSync(await folders.open(other)).uid))
    expect(new Set(owners).size).toBe(50)
    const again = createSessionFolders(join(place.root, 'data'))
    expect(await Promise.all(others.map(async (other) => statSync(await again.open(other)).uid))).toEqual(owners)
  })

  it.skipIf(user === null)('keep their owner, if that is a user of agents, also as copies (needs root)', async () => {
    const folder = await folders.open(name)
    chownSync(folder, 64321, 64321)
    expect(await folders.replace(name)).toMatchObject({ kind: 'replaced' })
    expect(statSync(await folders.open(name))).toMatchObject({ uid: 64321, gid: 64321 })
  })

  it('are opened by many workers at once without harm', async () => {
    const opened = await Promise.all(
      Array.from({ length: 20 }, () => createSessionFolders(join(place.root, 'data')).open(name)),
    )
    expect(new Set(opened).size).toBe(1)
    expect(statSync(opened[0] ?? '').uid).toBe(owner)
  })

  it.each(['..', '../x', 'a/b', '', 'ses_x', `${name}/..`, 'sessions'])(
    'refuse a name that is no id: %j',
    async (bad) => {
      await expect(folders.open(bad)).rejects.toThrow('not a session or run id')
      await expect(folders.replace(bad)).rejects.toThrow('not a session or run id')
      await expect(folders.remove(bad)).rejects.toThrow('not a session or run id')
    },
  )

  it('stay where they are if their session was lost while they were copied', async () => {
    const folder = await folders.open(name)
    writeFileSync(join(folder, 'file'), 'copied')
    const old = statSync(folder).ino
    const copies = join(place.root, 'data', 'copies')
    const found: string[] = []
    const confirm = async () => {
      for (const draft of readdirSync(copies)) found.push(...readdirSync(join(copies, draft)))
      return false
    }
    expect(await folders.replace(name, confirm)).toEqual({ kind: 'refused' })
    expect(found).toEqual(['file'])
    expect(statSync(folder).ino).toBe(old)
    expect(readdirSync(copies)).toEqual([])
    expect(await folders.replace(name, async () => true)).toEqual({ kind: 'replaced', folder })
  })

  it('are replaced by a copy that whoever holds the old one no longer touches', async () => {
    const folder = await folders.open(name)
    mkdirSync(join(folder, 'deep'))
    writeFileSync(join(folder, 'deep', 'file'), 'before')
    symlinkSync('/etc/shadow', join(folder, 'link'))
    const old = statSync(folder).ino
    expect(await folders.replace(name)).toEqual({ kind: 'replaced', folder })
    expect(statSync(folder).ino).not.toBe(old)
    expect(statSync(folder).uid).toBe(owner)
    expect(readFileSync(join(folder, 'deep', 'file'), 'utf8')).toBe('before')
    expect(readdirSync(folder).sort()).toEqual(['deep', 'link'])
    const [aside = ''] = readdirSync(join(place.root, 'data', 'replaced'))
    expect(statSync(join(place.root, 'data', 'replaced', aside)).ino).toBe(old)
    writeFileSync(join(place.root, 'data', 'replaced', aside, 'deep', 'file'), 'zombie')
    expect(readFileSync(join(folder, 'deep', 'file'), 'utf8')).toBe('before')
  })

  it('come back whole when a replacement was cut short between its two renames', async () => {
    const folder = await folders.open(name)
    writeFileSync(join(folder, 'kept'), 'kept')
    const data = join(place.root, 'data')
    mkdirSync(join(data, 'copies', name))
    writeFileSync(join(data, 'copies', name, 'kept'), 'kept')
    renameSync(folder, join(data, 'replaced', `${name}.1.x`))
    expect(readFileSync(join(await folders.open(name), 'kept'), 'utf8')).toBe('kept')
    expect(readdirSync(join(data, 'copies'))).toEqual([])
  })

  it('put no half copy in place', async () => {
    const folder = await folders.open(name)
    writeFileSync(join(folder, 'kept'), 'kept')
    mkdirSync(join(place.root, 'data', 'copies', name))
    expect((await folders.replace(name)).kind).toBe('replaced')
    expect(readdirSync(folder)).toEqual(['kept'])
  })

  it('that an agent closed to itself are open to the next one', async () => {
    chmodSync(await folders.open(name), 0)
    expect(statSync(await folders.open(name)).mode & 0o777).toBe(0o700)
  })

  it('are copied as the agents see them: what only root may read comes along for nobody', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('this process is not root')
    const folder = await folders.open(name)
    writeFileSync(join(folder, 'root-only'), 'secret', { mode: 0o600 })
    expect(await folders.replace(name)).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('Permission denied'),
    })
    expect(readdirSync(join(place.root, 'data', 'copies'))).toEqual([])
    expect(await folders.open(name)).toBe(folder)
  })

  it('are copied with what an agent closed to itself', async () => {
    const folder = await folders.open(name)
    const close = 'mkdir closed; echo inner > closed/file; echo outer > file; chmod 0 file closed/file closed'
    execFileSync('sh', ['-c', close], {
      cwd: folder,
      ...user,
    })
    expect(await folders.replace(name)).toEqual({ kind: 'replaced', folder })
    expect(readFileSync(join(folder, 'file'), 'utf8')).toBe('outer\n')
    expect(readFileSync(join(folder, 'closed', 'file'), 'utf8')).toBe('inner\n')
  })

  it('are copied, measured and deleted with pipes, sockets, links and names that nobody should open', async () => {
    const folder = await folders.open(name)
    const make = `
      mkfifo pipe; ln -s /dev/zero endless; ln -s . loop; ln -s /proc/self/mem memory; touch -- -rf "$(printf 'a\\n b')"
      touch kept "$(printf 'n%.0s' $(seq 255))"; ln kept again; truncate -s 8E sparse || truncate -s 8T sparse; chmod 6755 kept
      perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1)'`
    execFileSync('sh', ['-c', make], {
      cwd: folder,
      ...user,
    })
    const made = readdirSync(folder).sort()
    expect(made).toHaveLength(11)
    expect(await folders.replace(name)).toMatchObject({ kind: 'replaced' })
    expect(readdirSync(folder).sort()).toEqual(made)
    const size = measureFolder(folder, { bytes: 1e9, files: 1_000, names: 1_000, held: 0 }, { pids: [] })
    expect(size).toMatchObject({ files: made.length - 1, tooDeep: false })
    expect(size.bytes).toBeLessThan(1e6)
    await folders.remove(name)
    expect(existsSync(folder)).toBe(false)
    expect(await folders.removeReplaced(-1)).toBe(1)
  })

  it('are deleted whatever an agent made of them, and no link in them is followed', async () => {
    const folder = await folders.open(name)
    const outside = join(place.root, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'kept'), 'kept')
    symlinkSync(outside, join(folder, 'link'))
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a])]), 'no text')
    const nest = 'for (1..40) { mkdir "d" x 200; chdir "d" x 200 } open F, ">x"; mkdir "closed", 0'
    execFileSync('perl', ['-e', nest], { cwd: folder })
    await folders.remove(name)
    expect(existsSync(folder)).toBe(false)
    expect(readdirSync(outside)).toEqual(['kept'])
  })

  it.skipIf(process.getuid?.() !== 0)('that an agent closed are deleted by a worker that is not root', () => {
    const remover = new URL('../src/remove-tree.ts', import.meta.url).href
    const script = `
      import { chmodSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
      import { removeTree } from '${remover}'
      const folder = mkdtempSync('/tmp/muster-sandbox-')
      mkdirSync(folder + '/closed/deeper', { recursive: true })
      writeFileSync(folder + '/closed/deeper/file', '')
      chmodSync(folder + '/closed/deeper', 0)
      chmodSync(folder + '/closed', 0)
      await removeTree(folder)
      process.stdout.write(existsSync(folder) ? 'left' : 'gone')`
    const options = { uid: 64_400, gid: 64_400, encoding: 'utf8' } as const
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], options)).toBe('gone')
  })

  it.skipIf(process.getuid?.() !== 0)(
    'that cannot be deleted keep no other from it, and go the next time',
    async () => {
      await folders.open(name)
      for (let round = 0; round < 2; round += 1) await folders.replace(name)
      const replaced = join(place.root, 'data', 'replaced')
      const [first = ''] = readdirSync(replaced)
      const busy = join(replaced, first, 'busy')
      mkdirSync(busy)
      execFileSync('/bin/mount', ['-t', 'tmpfs', 'tmpfs', busy])
      try {
        expect(await folders.removeReplaced(-1)).toBe(1)
        expect(readdirSync(replaced)).toEqual([first])
      } finally {
        execFileSync('/bin/umount', [busy])
      }
      expect(await folders.removeReplaced(-1)).toBe(1)
    },
  )

  it('that were moved aside are deleted later, and removed ones at once', async () => {
    await folders.open(name)
    await folders.replace(name)
    await folders.replace(name)
    expect(await folders.removeReplaced(60_000)).toBe(0)
    expect(await folders.removeReplaced(-1)).toBe(2)
    expect(readdirSync(join(place.root, 'data', 'replaced'))).toEqual([])
    await folders.remove(name)
    expect(existsSync(join(place.root, 'data', 'sessions', name))).toBe(false)
  })
})

describe('a shared root', () => {
  it('has one id, whoever comes first and however many at once', async () => {
    const place = makePlace()
    const ids = await Promise.all(Array.from({ length: 20 }, () => proveRoot(join(place.root, 'shared'))))
    expect(new Set(ids).size).toBe(1)
    expect(await proveRoot(join(place.root, 'shared'))).toBe(ids[0])
    expect(await proveRoot(join(place.root, 'other'))).not.toBe(ids[0])
    expect(readdirSync(join(place.root, 'shared'))).toHaveLength(1)
    place.remove()
  })
})
