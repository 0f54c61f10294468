import { startBaseline } from '../baseline/baseline.ts'
import { startMuster } from '../fleet/muster.ts'
import type { Servers } from '../fleet/servers.ts'
import { type LoadOrder, sendLoad } from '../load/load.ts'
import { contestCell, type Measure, measureBoth } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import { quantile } from '../statistics.ts'
import type { System } from '../system.ts'

const OPTIONS = { concurrency: 50, poolSize: 10 }
const IDLE_PER_S = 20
/** About half of what the baseline's worker gets through with the load on the same machine. */
const HALF_LOAD_PER_S = 1000

/** (c) How long after a command was sent its work begins, on an idle fleet and at half load. */
export async function startLatency(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const cells: Cell[] = []
  for (const [name, perSecond] of [
    ['idle', IDLE_PER_S],
    ['half load', HALF_LOAD_PER_S],
  ] as const) {
    const contest = await measureBoth(measure, {
      muster: () => startMuster(servers, OPTIONS),
      baseline: () => startBaseline(servers, OPTIONS),
      round: async (system) => {
        const worker = await system.startWorker()
        await sendLoad(system.target, {
          kind: 'closed',
          clients: 16,
          requests: measure.size({ full: 2000, quick: 2000, trial: 50 }),
        })
        const requests = Math.ceil(perSecond * measure.size({ full: 15, quick: 5, trial: 0.2 }))
        const waits = await waitsOf(system, { kind: 'open', perSecond, requests })
        await worker.stop()
        return { p50: quantile(waits, 0.5), p95: quantile(waits, 0.95), p99: quantile(waits, 0.99) }
      },
    })
    for (const figure of ['p50', 'p95', 'p99'] as const)
      cells.push(
        contestCell(contest, figure, {
          name: `schedule to start, ${name} (${perSecond}/s), ${figure}`,
          unit: 'ms',
          ...(figure === 'p50'
            ? {
                goal: ({ muster, baseline }) => ({
                  text: 'within 2 ms',
                  reached: muster.median <= baseline.median + 2,
                }),
              }
            : {}),
        }),
      )
  }
  return cells
}

async function waitsOf(system: System, order: LoadOrder): Promise<readonly number[]> {
  const { ids, dueAtMs } = await sendLoad(system.target, order)
  const dueAt = new Map(ids.map((id, index) => [id, dueAtMs[index] ?? 0]))
  const deadline = performance.now() + 30_000
  for (;;) {
    const begins = (await system.begins()).filter(({ id }) => dueAt.has(id))
    if (begins.length === ids.length) return begins.map(({ id, began_at_ms }) => began_at_ms - (dueAt.get(id) ?? 0))
    if (performance.now() > deadline) throw new Error(`only ${begins.length} of ${ids.length} runs ended`)
  }
}
