import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { ResourceName } from '@muster/contracts'
import { newId } from '@muster/core'
import { createBubblewrap, type Sandbox, sessionUser } from '@muster/sandbox'
import type { Servers } from '../fleet/servers.ts'
import { contestCell, type Figures, type Measure, type Skipped } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import { quantile } from '../statistics.ts'

/** Both ways run this, so that the difference is the sandbox. */
const PROGRAM = ['/bin/sh', '-c', 'echo ready']
const BURST = 50
const RESOURCES = { cpu: 1, memory_mb: 256, pids: 64, disk_mb: 64 }

/** From the call to the first line, in milliseconds; resolves when nothing of the program is left. */
type Start = (index: number) => Promise<number>

/** (e) How long a sandbox takes to the first line of its program beside a plain child process, one at a time and many at once. */
export async function sandbox(servers: Servers, measure: Measure): Promise<readonly Cell[] | Skipped> {
  const root = servers.site('sandboxes')
  const bubblewrap = createBubblewrap({ cacheRoot: join(root, 'cache'), sessionRoot: root })
  const probe = await bubblewrap.probe()
  if (probe.kind === 'unusable') return { skipped: `bubblewrap cannot run here: ${probe.reason}` }
  const [pairs, burst] = [
    measure.size({ full: 100, quick: 40, trial: 3 }),
    measure.size({ full: BURST, quick: BURST, trial: 5 }),
  ]
  const folders = Array.from({ length: burst }, (_, index) => workspaceFolder(root, index))
  const ours: Start = (index) => startSandboxed(bubblewrap, probe.holds, folders[index % folders.length] ?? root)

  for (let warmUp = 0; warmUp < 3; warmUp++) for (const start of [ours, startPlain]) await start(0)
  type Round = Figures<'p50' | 'p95' | 'burstTotal' | 'burstP99'>
  const contest = { muster: [] as Round[], baseline: [] as Round[] }
  for (let round = 0; round < measure.rounds; round++) {
    const single = { muster: [] as number[], baseline: [] as number[] }
    for (let pair = 0; pair < pairs; pair++) {
      single.baseline.push(await startPlain())
      single.muster.push(await ours(pair))
    }
    for (const [side, start] of [
      ['baseline', startPlain],
      ['muster', ours],
    ] as const)
      contest[side].push({
        p50: quantile(single[side], 0.5),
        p95: quantile(single[side], 0.95),
        ...(await startBurst(start, burst)),
      })
  }
  const held = probe.holds.length === 0 ? 'no limits' : `limits on ${probe.holds.join(', ')}`
  return [
    contestCell(contest, 'p50', {
      name: `sandbox to first line (${held}) / plain spawn, p50`,
      unit: 'ms',
      goal: ({ muster, baseline }) => ({
        text: '<= 20 ms and within 15 ms',
        reached: muster.median <= 20 && muster.median <= baseline.median + 15,
      }),
    }),
    contestCell(contest, 'p95', { name: 'sandbox to first line / plain spawn, p95', unit: 'ms' }),
    contestCell(contest, 'burstTotal', { name: `burst of ${burst} sandboxes / plain spawns, all`, unit: 'ms' }),
    contestCell(contest, 'burstP99', { name: `burst of ${burst} sandboxes / plain spawns, p99`, unit: 'ms' }),
  ]
}

/** Until the last of them has shown its first line. */
async function startBurst(start: Start, burst: number): Promise<Figures<'burstTotal' | 'burstP99'>> {
  const begun = performance.now()
  const ready: number[] = []
  await Promise.all(
    Array.from({ length: burst }, async (_, index) => {
      const before = performance.now() - begun
      ready.push(before + (await start(index)))
    }),
  )
  return { burstTotal: Math.max(...ready), burstP99: quantile(ready, 0.99) }
}

async function startSandboxed(
  bubblewrap: Sandbox,
  required: readonly ResourceName[],
  workspaceFolder: string,
): Promise<number> {
  const begun = performance.now()
  const started = await bubblewrap.start(
    {
      group: { runId: newId('run'), sessionId: newId('session'), generation: 1 },
      command: PROGRAM,
      env: {},
      files: {},
      bundleFolder: null,
      attachmentsFolder: null,
      workspaceFolder,
      workspaceAccess: 'rw',
      network: false,
      resources: RESOURCES,
      required,
    },
    async () => true,
  )
  if (started.kind !== 'started')
    throw new Error(started.kind === 'failed' ? started.reason : 'the sandbox was refused')
  const { process } = started
  process.stdin.end()
  process.stderr.resume()
  const tookMs = (await firstLine(process.stdout)) - begun
  const { code, fault } = await process.exited
  if (code !== 0) throw new Error(`the sandbox ended with ${fault ?? code}`)
  return tookMs
}

async function startPlain(): Promise<number> {
  const [program = '', ...rest] = PROGRAM
  const begun = performance.now()
  const child = spawn(program, rest, { env: { PATH: '/usr/bin:/bin' } })
  child.stdin.end()
  child.stderr.resume()
  const gone = once(child, 'close')
  gone.catch(() => undefined)
  const tookMs = (await firstLine(child.stdout)) - begun
  await gone
  return tookMs
}

/** When it came. */
function firstLine(output: Readable): Promise<number> {
  return new Promise((resolve, reject) => {
    output.on('data', (chunk: Buffer) => {
      if (chunk.includes('\n')) resolve(performance.now())
    })
    output.once('error', reject)
    output.once('end', () => reject(new Error('the program ended without a line')))
  })
}

function workspaceFolder(root: string, index: number): string {
  const folder = join(root, `workspace-${index}`)
  mkdirSync(folder, { mode: 0o700 })
  const user = sessionUser(newId('session'))
  if (user !== null) chownSync(folder, user.uid, user.gid)
  return folder
}
