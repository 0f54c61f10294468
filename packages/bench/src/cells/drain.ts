import { startBaseline } from '../baseline/baseline.ts'
import { startMuster } from '../fleet/muster.ts'
import type { Servers } from '../fleet/servers.ts'
import { sendLoad } from '../load/load.ts'
import { contestCell, type Measure, measureBoth } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import { until } from '../until.ts'

const OPTIONS = { concurrency: 50, poolSize: 10 }

/** (b) How fast one worker process empties a backlog of runs that do nothing. */
export async function drain(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const runs = measure.size({ full: 20_000, quick: 10_000 })
  const contest = await measureBoth(measure, {
    muster: () => startMuster(servers, OPTIONS),
    baseline: () => startBaseline(servers, OPTIONS),
    round: async ({ target, startWorker, ended, drainSeconds }) => {
      await sendLoad(target, { kind: 'closed', clients: 64, requests: runs })
      const worker = await startWorker()
      await until('the backlog to be gone', 250, async () => (await ended()) >= runs)
      const rate = runs / (await drainSeconds())
      await worker.stop()
      return { rate }
    },
  })
  return [
    contestCell(contest, 'rate', {
      name: `drain of ${runs} no-op runs, one worker`,
      unit: 'runs/s',
      goal: ({ ratio }) => ({ text: '>= 1.0x', reached: ratio >= 1 }),
    }),
  ]
}
