import { startServers } from './fleet/servers.ts'
import type { Benchmark, Measure } from './measure.ts'
import type { Cell } from './report/cell.ts'
import { formatTable } from './report/table.ts'

export type RunOptions = {
  readonly benchmarks: ReadonlyMap<string, Benchmark>
  readonly measure: Measure
  /** Ends everything as soon as it fires. */
  readonly signal: AbortSignal
  /** Told what happens, line by line. */
  readonly say: (line: string) => void
}

export type BenchmarkRun = {
  readonly cells: readonly Cell[]
  readonly failed: readonly string[]
  readonly versions: { readonly postgres: string; readonly redis: string }
}

/** Measures one after the other, each on servers of its own; one that fails is told and the others go on. Throws when it is interrupted. */
export async function runBenchmarks({ benchmarks, measure, signal, say }: RunOptions): Promise<BenchmarkRun> {
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  interrupted.catch(() => undefined)
  const cells: Cell[] = []
  const failed: string[] = []
  let versions = { postgres: 'unknown', redis: 'unknown' }
  for (const [name, benchmark] of benchmarks) {
    signal.throwIfAborted()
    say(`\n${name}: measuring`)
    try {
      await using servers = await startServers()
      versions = await servers.versions()
      const outcome = await Promise.race([benchmark(servers, measure), interrupted])
      if ('skipped' in outcome) say(`${name}: skipped, ${outcome.skipped}`)
      else {
        cells.push(...outcome)
        say(formatTable(outcome))
      }
    } catch (error) {
      signal.throwIfAborted()
      failed.push(name)
      say(`${name}: FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    }
  }
  return { cells, failed, versions }
}
