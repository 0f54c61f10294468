import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createBubblewrap, hostIdentity, killGroup } from '../src/index.ts'
import { eventually, living, makePlace, makeSpec, uniqueSleep } from './place.ts'
import { startOtherWorker } from './start-other-worker.ts'

const WORKER_UID = 64_400

describe('a worker that is not root', () => {
  it.skipIf(process.getuid?.() !== 0)('runs agents as itself, and they die with it', { timeout: 30_000 }, async () => {
    const place = makePlace()
    const cacheRoot = join(place.root, 'cache')
    const workspaceFolder = join(place.root, 'workspace')
    for (const folder of [cacheRoot, workspaceFolder]) {
      mkdirSync(folder, { mode: 0o700 })
      chownSync(folder, WORKER_UID, WORKER_UID)
    }
    const sleep = uniqueSleep()
    const command = ['sh', '-c', `grep -E "^(Uid|CapEff)" /proc/self/status > seen; exec sleep ${sleep}`]
    const spec = makeSpec({ command, workspaceFolder, workspaceAccess: 'rw', files: { a: 'b' } })
    await using worker = await startOtherWorker('bubblewrap', cacheRoot, spec, [], WORKER_UID)
    await eventually(() => living(`sleep ${sleep}`).some((one) => one.command.startsWith('sleep')), 'the agent sleeps')
    for (const { uid } of living(sleep)) expect(uid).toBe(WORKER_UID)
    expect(readFileSync(join(workspaceFolder, 'seen'), 'utf8')).toMatch(/Uid:\t1000\t.*\nCapEff:\t0+\n/)
    await worker.end()
    await eventually(() => living(sleep).length === 0, 'the agent died')
    place.remove()
  })
})

describe('the probe', () => {
  it('names the folder that agents cannot pass', async () => {
    const root = mkdtempSync('/tmp/muster-sandbox-')
    chmodSync(root, 0o700)
    const cacheRoot = join(root, 'cache')
    const probe = await createBubblewrap({ cacheRoot }).probe()
    if (process.getuid?.() === 0)
      expect(probe).toMatchObject({ kind: 'unusable', reason: expect.stringContaining(`cannot pass ${root}`) })
    rmSync(root, { recursive: true })
  })

  it('says that bubblewrap is missing or does not work here', async () => {
    const place = makePlace()
    for (const bwrapPath of ['/no/such/bwrap', '/bin/false']) {
      const probe = await createBubblewrap({ cacheRoot: place.root, bwrapPath }).probe()
      expect(probe.kind).toBe('unusable')
      expect(probe.kind === 'unusable' && probe.reason.length).toBeGreaterThan(5)
    }
    place.remove()
  })
})

describe('the identity of a host', () => {
  it('is the same for two processes of one pid namespace', async () => {
    expect(await hostIdentity()).toBe(await hostIdentity())
    expect(await hostIdentity()).toMatch(/^[0-9a-f-]{36}\/pid:\[\d+\]$/)
  })

  it('never makes a search match by accident: an unknown session has no sandbox', async () => {
    expect(await killGroup({ sessionId: 'ses_unknown' })).toEqual({ kind: 'gone', killed: 0 })
  })
})
