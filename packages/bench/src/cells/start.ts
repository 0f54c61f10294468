import { startBaseline } from '../baseline/baseline.ts'
import { startMuster } from '../fleet/muster.ts'
import type { Servers } from '../fleet/servers.ts'
import { type LoadOrder, sendLoad } from '../load/load.ts'
import { contestCell, type Measure, measureBoth } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import { quantile } from '../statistics.ts'
import type { System } from '../system.ts'
import { until } from '../until.ts'

const OPTIONS = { concurrency: 50, poolSize: 10 }
const IDLE_PER_S = 20
const CLIENTS = 64

/** (c) How long after a command was sent its work begins, on an idle fleet and at half load. */
export async function startLatency(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const cells: Cell[] = []
  for (const [name, perSecond] of [
    ['idle', IDLE_PER_S],
    ['half load', await halfLoad(servers, measure)],
  ] as const) {
    const contest = await measureBoth(measure, {
      muster: () => startMuster(servers, OPTIONS),
      baseline: () => startBaseline(servers, OPTIONS),
      round: async (system) => {
        const worker = await system.startWorker()
        await sendLoad(system.target, {
          kind: 'closed',
          clients: 16,
          requests: measure.size({ full: 10_000, quick: 5000, trial: 50 }),
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

/** Half of the commands that the baseline accepts and works off each second on this machine, with the load and everything else on it. */
async function halfLoad(servers: Servers, measure: Measure): Promise<number> {
  const baseline = await startBaseline(servers, OPTIONS)
  try {
    const worker = await baseline.startWorker()
    const warmUp = measure.size({ full: 5000, quick: 5000, trial: CLIENTS })
    const requests = measure.size({ full: 10_000, quick: 5000, trial: CLIENTS })
    await sendLoad(baseline.target, { kind: 'closed', clients: CLIENTS, requests: warmUp })
    await until('the warm-up to be worked off', 250, async () => (await baseline.ended()) >= warmUp)
    const begun = performance.now()
    await sendLoad(baseline.target, { kind: 'closed', clients: CLIENTS, requests })
    await until('all commands to be worked off', 100, async () => (await baseline.ended()) >= warmUp + requests)
    const perSecond = requests / ((performance.now() - begun) / 1000)
    await worker.stop()
    return Math.max(IDLE_PER_S, Math.round(perSecond / 2))
  } finally {
    await baseline.stop()
  }
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
