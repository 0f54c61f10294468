/** Measures Muster, and beside it the baseline: `npm run bench`, or `npm run bench -- --quick --only drain,gate`. */
import { fileURLToPath } from 'node:url'
import { BENCHMARKS } from './cells/index.ts'
import { measureOf } from './measure.ts'
import { type Arguments, readArguments } from './read-arguments.ts'
import { describeMachine, formatMachine } from './report/machine.ts'
import { resultsOf, writeResults } from './report/results.ts'
import { formatGoals, formatTable } from './report/table.ts'
import { runBenchmarks } from './run-benchmarks.ts'

const RESULTS = fileURLToPath(new URL('../results/latest.json', import.meta.url))
const NAMES = [...BENCHMARKS.keys()]
const HELP = `Measures Muster, and beside it a plain baseline, on this machine.

npm run bench -- [--quick] [--only NAME,...] [--rounds N]

  --quick      smaller sizes and one round: a quick look
  --only       only these: ${NAMES.join(', ')}
  --rounds N   how often each is measured; 3, or 1 with --quick

A run of all of them without a failure writes packages/bench/results/latest.json. A goal that is missed is no failure.`

const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function measure({ size, rounds, names }: Extract<Arguments, { kind: 'measure' }>): Promise<number> {
  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => stopped.abort(new Error(`interrupted by ${signal}`)))
  const machine = describeMachine()
  const benchmarks = new Map([...BENCHMARKS].filter(([name]) => names.includes(name)))
  const run = await runBenchmarks({ benchmarks, measure: measureOf(size, rounds), signal: stopped.signal, say })
  say(
    `\n${formatMachine({ ...machine, ...run.versions })}\nsize: ${size}, rounds: ${rounds}\n\n${formatTable(run.cells)}\n`,
  )
  if (run.failed.length > 0) say(`FAILED: ${run.failed.join(', ')}; no results are written`)
  else if (names.length < NAMES.length) say('no results are written: not everything was measured')
  else {
    writeResults(RESULTS, resultsOf(run.cells, size))
    say(`written to ${RESULTS}`)
  }
  say(formatGoals(run.cells))
  return run.failed.length === 0 ? 0 : 1
}

async function main(): Promise<number> {
  const asked = readArguments(process.argv.slice(2), NAMES)
  switch (asked.kind) {
    case 'help':
      say(HELP)
      return 0
    case 'refused':
      process.stderr.write(`muster bench: ${asked.reason}\n`)
      return 1
    case 'measure':
      return await measure(asked)
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`muster bench: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  },
)
