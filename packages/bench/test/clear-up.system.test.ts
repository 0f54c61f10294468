import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, isRunning, type ProcessRecord } from '@muster/runtime'
import { until } from '@muster/testkit'
import { expect, onTestFinished, test } from 'vitest'
import { startServers } from '../src/fleet/servers.ts'
import { sendLoad } from '../src/load/load.ts'
import { type Benchmark, measureOf, soloCell } from '../src/measure.ts'
import { runBenchmarks } from '../src/run-benchmarks.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const target = async () => {
  return { url: `http://127.0.0.1:${await freePort()}/v1/commands`, clients: [{ authorization: '' }], body: {} }
}

test.for(['SIGKILL', 'SIGINT'] as const)('after a %s nothing is left of a measurement', async (signal) => {
  const home = mkdtempSync(join(tmpdir(), 'muster-clear-up-'))
  const bench = spawn(process.execPath, [MAIN, '--quick', '--only', 'drain'], {
    env: { ...process.env, TMPDIR: home },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(async () => {
    await killed(bench)
    rmSync(home, { recursive: true, force: true })
  })
  bench.stdout.resume()
  const records = await until(() => recordsOf(home), { what: 'both servers and a gateway', deadlineMs: 90_000 })
  expect(records.every(isRunning)).toBe(true)
  bench.kill(signal)
  await until(() => readdirSync(home).length === 0 && !records.some(isRunning), {
    what: 'all to be gone',
    deadlineMs: 60_000,
  })
  await until(() => bench.exitCode !== null || bench.signalCode !== null)
  expect(bench.signalCode ?? bench.exitCode).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 1)
})

test('a benchmark that fails is told, and the others go on', async () => {
  const said: string[] = []
  const fine: Benchmark = async () => [soloCell([{ s: 1 }], 's', { name: 'fine', unit: 's' })]
  const broken: Benchmark = async (servers) => {
    await servers.createDatabase()
    throw new Error('it broke')
  }
  const run = await runBenchmarks({
    benchmarks: new Map([
      ['broken', broken],
      ['absent', async () => ({ skipped: 'there is no such thing here' })],
      ['fine', fine],
    ]),
    measure: measureOf('trial', 1),
    signal: new AbortController().signal,
    say: (line) => said.push(line),
  })
  expect(run).toMatchObject({ failed: ['broken'], cells: [{ name: 'fine' }] })
  expect(said.find((line) => line.startsWith('broken: FAILED'))).toContain('it broke')
  expect(said).toContain('absent: skipped, there is no such thing here')
})

test('a load that finds nobody to talk to fails', async () => {
  await expect(sendLoad(await target(), { kind: 'closed', clients: 2, requests: 2 })).rejects.toThrow('the load failed')
})

test('servers can be ended twice', async () => {
  const servers = await startServers()
  await servers[Symbol.asyncDispose]()
  await servers[Symbol.asyncDispose]()
  expect(() => readdirSync(servers.folder)).toThrow('ENOENT')
})

/** What is recorded below a folder, once servers and a program are. */
function recordsOf(home: string): readonly ProcessRecord[] | null {
  const paths = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /(server|\.process)\.json$/.test(path),
  )
  const found = paths.flatMap((path) => {
    const { process }: { process: ProcessRecord | null } = JSON.parse(readFileSync(join(home, path), 'utf8'))
    return process === null ? [] : [process]
  })
  return found.length >= 3 ? found : null
}

async function killed(bench: ChildProcess): Promise<void> {
  if (bench.exitCode !== null || bench.signalCode !== null) return
  bench.kill('SIGKILL')
  await once(bench, 'exit')
}
