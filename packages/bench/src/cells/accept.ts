import { startBaseline } from '../baseline/baseline.ts'
import { startMuster } from '../fleet/muster.ts'
import type { Servers } from '../fleet/servers.ts'
import { type LoadOrder, sendLoad } from '../load/load.ts'
import { contestCell, type Measure, measureBoth } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import { quantile } from '../statistics.ts'

const OPTIONS = { concurrency: 50, poolSize: 16 }
const CLIENTS = 64
const RATES = [500, 1000]
const SETTLE_MS = 1000

/** (a) How many commands a gateway makes durable each second, and how long one takes at a fixed rate while a worker runs them. */
export async function accept(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const requests = measure.size({ full: 30_000, quick: 10_000 })
  const warmUp = (full: number): LoadOrder => {
    return { kind: 'closed', clients: CLIENTS, requests: measure.size({ full, quick: full, trial: CLIENTS }) }
  }
  const sides = { muster: () => startMuster(servers, OPTIONS), baseline: () => startBaseline(servers, OPTIONS) }
  const throughput = await measureBoth(measure, {
    ...sides,
    round: async ({ target, keepWaiting }) => {
      const waiting = await keepWaiting()
      await sendLoad(target, warmUp(30_000))
      const { seconds, latenciesMs } = await sendLoad(target, { kind: 'closed', clients: CLIENTS, requests })
      await waiting?.kill()
      return { rate: requests / seconds, p99: quantile(latenciesMs, 0.99) }
    },
  })
  const cells = [
    contestCell(throughput, 'rate', {
      name: `accept, ${CLIENTS} clients`,
      unit: 'commands/s',
      goal: ({ ratio }) => ({ text: '>= 1.5x', reached: ratio >= 1.5 }),
    }),
  ]
  for (const perSecond of RATES) {
    const contest = await measureBoth(measure, {
      ...sides,
      round: async ({ target, startWorker }) => {
        const worker = await startWorker()
        await sendLoad(target, warmUp(5000))
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
        const requests = perSecond * measure.size({ full: 15, quick: 5, trial: 0.2 })
        const { latenciesMs } = await sendLoad(target, { kind: 'open', perSecond, requests })
        await worker.stop()
        return { p50: quantile(latenciesMs, 0.5), p95: quantile(latenciesMs, 0.95), p99: quantile(latenciesMs, 0.99) }
      },
    })
    for (const figure of ['p50', 'p95', 'p99'] as const) {
      const name = `accept at ${perSecond}/s, ${figure}`
      if (perSecond !== 1000 || figure !== 'p99') cells.push(contestCell(contest, figure, { name, unit: 'ms' }))
      else
        cells.push(
          contestCell(contest, figure, {
            name,
            unit: 'ms',
            goal: ({ muster, ratio }) => ({
              text: '<= 15 ms or <= 1.5x',
              reached: muster.median <= 15 || ratio <= 1.5,
            }),
          }),
        )
    }
  }
  return cells
}
