import { PassThrough } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { EventWriter, type Written } from '@muster/engine'
import type { Sandbox, SandboxExit } from '@muster/sandbox'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { claimedRun, newJob, openLoneDesk } from './lone-desk.ts'
import { openSmallFleet, type SmallFleet } from './small-fleet.ts'

const TIMEOUT_MS = 200

let fleet: SmallFleet
beforeAll(async () => {
  fleet = await openSmallFleet()
})
afterAll(() => fleet.close())

/** A program that says one line and ends by itself with this code, well within its time. */
function shortProgram(code: number): Sandbox {
  return {
    runtime: 'none',
    probe: async () => ({ kind: 'unusable', reason: 'not asked' }),
    start: async () => {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()]
      stdout.end('said\n')
      stderr.end()
      const exited = delay(TIMEOUT_MS / 4).then((): SandboxExit => ({ code, signal: null, fault: null, breach: null }))
      const stdin = { write: async () => 'written' as const, end: () => undefined }
      const kill = () => exited.then(() => undefined)
      return { kind: 'started', process: { pid: 0, stdin, stdout, stderr, exited, limits: {}, kill } }
    },
  }
}

class SlowWriter extends EventWriter {
  override async write(): Promise<Written> {
    await delay(3 * TIMEOUT_MS)
    return { fenced: false, snapshots: [] }
  }
}

test.for([
  [0, 'succeeded'],
  [3, 'failed'],
] as const)(
  'a program that exits with %i in time has %s, however long its events take to be written',
  async ([code, status]) => {
    const job = newJob()
    const lone = openLoneDesk({
      claim: async () => ({ verdict: 'claimed', run: claimedRun(job, { timeout_ms: TIMEOUT_MS, max_attempts: 1 }) }),
      parts: {
        noop: false,
        sandboxes: new Map([['none', shortProgram(code)]]),
        folders: {
          open: async () => '/none',
          replace: async () => ({ kind: 'failed', reason: 'not asked' }),
          remove: async () => undefined,
          untouched: async () => [],
          removeReplaced: async () => 0,
        },
        writer: new SlowWriter(fleet.context, new AbortController().signal),
      },
    })
    await lone.desk.take(job)
    await lone.desk.empty()
    expect(lone.finished.map(({ end }) => end.status)).toEqual([status])
    await lone.close()
  },
)

test('an agent that leaves a thousand snapshots and exits ends as it ended, with every one of them', async () => {
  const worker = await fleet.worker({ MUSTER_POOLS: 'bubblewrap:1' })
  const program = `require('fs').writeSync(1, Array.from({ length: 1000 }, (_, n) => '{"type":"snapshot","state":' + n + '}\\n').join(''))`
  await fleet.agent('snapper', { command: ['node', '-e', program] })
  const { run } = await fleet.submit({ agent: 'snapper', message: 'go', timeout_ms: 6_000 })
  const ended = await fleet.run(run.id, 'succeeded', 'failed', 'timed_out')
  expect(ended.status).toBe('succeeded')
  const { rows } = await fleet.database.pool.query<{ seq: number; state: number }>(
    'SELECT seq, state FROM snapshots WHERE run_id = $1 AND state IS NOT NULL ORDER BY seq',
    [run.id],
  )
  expect(rows.map(({ state }) => state)).toEqual(Array.from({ length: 1_000 }, (_, state) => state))
  expect(new Set(rows.map(({ seq, state }) => seq - state)).size).toBe(1)
  await worker.drain()
})
