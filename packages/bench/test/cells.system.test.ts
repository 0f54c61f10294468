import { sized } from '@muster/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BENCHMARKS } from '../src/cells/index.ts'
import { startServers } from '../src/fleet/servers.ts'
import { measureOf } from '../src/measure.ts'
import { resultsOf, resultsSchema } from '../src/report/results.ts'

/** With a baseline beside it, or without. */
const CELLS: Readonly<Record<string, { readonly cells: number; readonly beside: number; readonly goals: number }>> = {
  accept: { cells: 7, beside: 7, goals: 2 },
  drain: { cells: 1, beside: 1, goals: 1 },
  start: { cells: 6, beside: 6, goals: 2 },
  gate: { cells: 9, beside: 0, goals: 2 },
  sandbox: { cells: 4, beside: 4, goals: 1 },
  fairness: { cells: 3, beside: 2, goals: 2 },
  recovery: { cells: 1, beside: 0, goals: 1 },
  streams: { cells: 3, beside: 0, goals: 1 },
}

const MEASURED = [...BENCHMARKS]
/** One beside the baseline and one without; the others are as long as all tests of a package. */
const QUICK: ReadonlySet<string> = new Set(['drain', 'gate'])

describe('a round of each benchmark, as small as it can be', () => {
  let servers: Awaited<ReturnType<typeof startServers>>

  beforeAll(async () => {
    servers = await startServers()
  })
  afterAll(() => servers[Symbol.asyncDispose]())

  it('names the versions of its servers', async () => {
    expect(await servers.versions()).toEqual({
      postgres: expect.stringMatching(/^\d+\.\d+/),
      redis: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    })
  })

  it.for(sized({ test: MEASURED.filter(([name]) => QUICK.has(name)), prove: MEASURED }))(
    '%s',
    async ([name, benchmark], { skip }) => {
      const cells = await benchmark(servers, measureOf('trial', 1))
      if ('skipped' in cells) return skip(cells.skipped)
      expect({
        cells: cells.length,
        beside: cells.filter(({ baseline, ratio }) => baseline !== undefined && ratio !== undefined).length,
        goals: cells.filter(({ goal }) => goal !== undefined).length,
      }).toEqual(CELLS[name])
      expect(resultsSchema.parse(resultsOf(cells, 'trial')).cells).toHaveLength(cells.length)
      for (const { muster, baseline } of cells)
        for (const { min, median, max } of [muster, ...(baseline === undefined ? [] : [baseline])]) {
          expect(min).toBeLessThanOrEqual(median)
          expect(median).toBeLessThanOrEqual(max)
        }
    },
  )
})
