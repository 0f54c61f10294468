import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '@muster/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSmallFleet, type SmallFleet } from './small-fleet.ts'

const place = mkdtempSync(join(tmpdir(), 'muster-bundles-'))
const root = join(place, 'bundles')
const cacheRoot = join(place, 'cache')
const once = { retry: { max_attempts: 1 } }
let fleet: SmallFleet
beforeAll(async () => {
  chmodSync(place, 0o755)
  mkdirSync(join(root, 'greeter'), { recursive: true })
  writeFileSync(join(root, 'greeter/main.sh'), 'echo "$(cat "$MUSTER_AGENT_FOLDER/word")"\n')
  writeFileSync(join(root, 'greeter/word'), 'bundled')
  symlinkSync('/etc', join(root, 'outside'))
  fleet = await openSmallFleet()
  await fleet.worker({
    MUSTER_POOLS: 'bubblewrap:2,none:2',
    MUSTER_BUNDLES_ROOT: root,
    MUSTER_CACHE_ROOT: cacheRoot,
    MUSTER_DRAIN_MS: '0',
  })
  await fleet.agent('reader', {
    command: [
      'sh',
      '-c',
      'read -r start; echo "$start"; cd "$MUSTER_ATTACHMENTS_FOLDER" || exit 0; ls -A; cat -- *; echo x > new && echo written; exit 0',
    ],
  })
})
afterAll(async () => {
  await fleet.close()
  rmSync(place, { recursive: true, force: true })
})

const pools = [{ runtime_type: 'bubblewrap' }, { runtime_type: 'none' }] as const

describe('attachments', () => {
  test.each(pools)('are in a folder of the agent and listed in its first line: $runtime_type', async (pool) => {
    const { run } = await fleet.submit({
      agent: 'reader',
      message: 'm',
      policy: { ...once, ...pool },
      attachments: [
        { name: 'note.txt', text: 'attached\n' },
        { name: '-z *', base64: Buffer.from('bytes\n').toString('base64') },
      ],
    })
    const done = await fleet.run(run.id, 'succeeded', 'failed')
    const [start, ...lines] = String(done.output).trimEnd().split('\n')
    expect(JSON.parse(start ?? '').attachments).toEqual([
      { name: 'note.txt', media_type: 'text/plain', bytes: 9 },
      { name: '-z *', media_type: 'application/octet-stream', bytes: 6 },
    ])
    expect(lines.slice(0, 4)).toEqual(['-z *', 'note.txt', 'bytes', 'attached'])
    expect(lines).not.toContain('written')
    await until(() => (readdirSync(join(cacheRoot, 'attachments')).length === 0 ? true : undefined), {
      deadlineMs: 5000,
      what: 'the folder to be removed',
    })
  })

  test('are there again when the attempt is tried again', async () => {
    await fleet.agent('second', {
      command: ['sh', '-c', 'read -r start; case "$start" in *\'"attempt":1\'*) exit 1;; esac; cat /attachments/a'],
    })
    const { run } = await fleet.submit({
      agent: 'second',
      message: 'm',
      policy: { retry: { max_attempts: 2 } },
      attachments: [{ name: 'a', text: 'still here' }],
    })
    const done = await fleet.run(run.id, 'succeeded', 'failed')
    expect([done.status, done.output]).toEqual(['succeeded', 'still here'])
  })

  test('are not in the job', async () => {
    const { run } = await fleet.submit({
      agent: 'reader',
      message: 'm',
      policy: once,
      attachments: [{ name: 'secret', text: 'not-in-redis' }],
    })
    await fleet.run(run.id, 'succeeded', 'failed')
    for (const event of (await fleet.events(run.id)).slice(0, 2))
      expect(JSON.stringify(event)).not.toContain('not-in-redis')
    const { rows } = await fleet.database.pool.query('SELECT r.* FROM runs r WHERE id = $1', [run.id])
    expect(JSON.stringify({ ...rows[0], output: null })).not.toContain('not-in-redis')
  })
})

describe('a bundle', () => {
  test.each(pools)('holds the program of its agent: $runtime_type', async (pool) => {
    const agent = await fleet.agent(`bundled-${pool.runtime_type}`, {
      command: ['sh', '/agent/main.sh'],
      bundle: 'greeter',
    })
    const { run } = await fleet.submit({ agent: agent.key, message: 'm', policy: { ...once, ...pool } })
    const done = await fleet.run(run.id, 'succeeded', 'failed')
    expect([done.status, done.output]).toEqual(['succeeded', 'bundled'])
  })

  test.each(['absent', 'outside', 'outside/ssl', 'greeter/word'])(
    'that cannot be shown ends the run: %s',
    async (bundle) => {
      const agent = await fleet.agent(`b-${bundle.replace('/', '-')}`, { command: ['ls', '/agent'], bundle })
      const { run } = await fleet.submit({ agent: agent.key, message: 'm', policy: once })
      const done = await fleet.run(run.id, 'succeeded', 'failed')
      expect(done).toMatchObject({
        status: 'failed',
        failure: { code: 'bundle_unavailable', message: expect.stringContaining(bundle), retryable: true },
      })
      expect(JSON.stringify(done.failure)).not.toContain(place)
    },
  )

  test('is on no node of an operator who allows none, and a root that is no folder stops the worker', async () => {
    const strict = await openSmallFleet()
    try {
      await expect(strict.worker({ MUSTER_BUNDLES_ROOT: join(place, 'nowhere') })).rejects.toThrow('is not a folder')
      expect(existsSync(join(place, 'nowhere'))).toBe(false)
      await strict.worker({})
      const agent = await strict.agent('bundled', { command: ['true'], bundle: 'greeter' })
      const { run } = await strict.submit({ agent: agent.key, message: 'm', policy: once })
      expect(await strict.run(run.id, 'succeeded', 'failed')).toMatchObject({
        failure: { code: 'bundle_unavailable', message: expect.stringContaining('no bundles') },
      })
    } finally {
      await strict.close()
    }
  })
})
