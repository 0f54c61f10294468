import type { Benchmark } from '../measure.ts'
import { accept } from './accept.ts'
import { drain } from './drain.ts'
import { fairness } from './fairness.ts'
import { gate } from './gate.ts'
import { recovery } from './recovery.ts'
import { sandbox } from './sandbox.ts'
import { startLatency } from './start.ts'
import { streams } from './streams.ts'

/** Everything that is measured, in this order, by the name that `--only` takes. */
export const BENCHMARKS: ReadonlyMap<string, Benchmark> = new Map<string, Benchmark>([
  ['accept', accept],
  ['drain', drain],
  ['start', startLatency],
  ['gate', gate],
  ['sandbox', sandbox],
  ['fairness', fairness],
  ['recovery', recovery],
  ['streams', streams],
])
