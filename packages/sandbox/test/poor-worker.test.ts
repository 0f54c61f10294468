import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { missingFor } from './adapters.ts'
import { makePlace } from './place.ts'

const run = promisify(execFile)
const OTHER_UID = 64_400
const SCARCE = new URL('./scarce-worker.ts', import.meta.url)
const BLIND = new URL('./blind-worker.ts', import.meta.url)
const PROBING = new URL('./probing-worker.ts', import.meta.url)

/** What a worker of its own says that is started under limits of `prlimit` and as a user. */
async function saidBy(script: URL, words: readonly string[], limits: readonly string[], uid = process.getuid?.()) {
  const identity = uid === undefined ? {} : { uid, gid: uid }
  const { stdout } = await run(
    '/usr/bin/prlimit',
    [...limits, process.execPath, fileURLToPath(script), ...words],
    identity,
  )
  return stdout.trim().split('\n')
}

describe('a worker with little', { timeout: 60_000 }, () => {
  const place = makePlace()
  afterAll(() => place.remove())

  it.each(['none', 'bubblewrap'])('of descriptors fails to start in %s and lives on', async (name) => {
    const said = await saidBy(SCARCE, [name, join(place.root, name)], ['--nofile=400:400'])
    expect(said).toHaveLength(60)
    expect(new Set(said)).toEqual(new Set(['failed', 'exit 7']))
    expect(said.at(-1)).toBe('exit 7')
    if (name === 'none') expect(readdirSync(join(place.root, name, 'none'))).toEqual([])
  })

  it.for(['none', 'bubblewrap', 'runc'])(
    'of descriptors takes nothing of %s for dead that it cannot see',
    async (name, { skip }) => {
      const missing = missingFor(name)
      if (missing !== null) skip(missing)
      const said = await saidBy(BLIND, [name, join(place.root, `blind-${name}`)], ['--nofile=400:400'])
      expect(said).toEqual(['alive gone 0'])
    },
  )

  it.each(['--core=0:0', '--nofile=2048:2048', '--fsize=1000000000:1000000000'])(
    'that may not give more than %s runs agents under that',
    async (limit) => {
      const [said = ''] = await saidBy(PROBING, ['bubblewrap', join(place.root, 'limits')], [limit])
      expect(JSON.parse(said)).toMatchObject({ kind: 'usable' })
    },
  )

  it.skipIf(process.getuid?.() !== 0)('of rights says that it cannot hold a limit on disk, and why', async () => {
    const cacheRoot = join(place.root, 'unprivileged')
    mkdirSync(cacheRoot, { mode: 0o700 })
    chownSync(cacheRoot, OTHER_UID, OTHER_UID)
    const [said = ''] = await saidBy(PROBING, ['bubblewrap', cacheRoot], [], OTHER_UID)
    const probe = JSON.parse(said)
    expect(probe).toMatchObject({ kind: 'usable' })
    expect(probe.holds).not.toContain('disk_mb')
    expect(probe.missing).toContainEqual(expect.stringContaining('disk_mb'))
  })
})
