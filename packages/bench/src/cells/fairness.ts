import { startBaseline } from '../baseline/baseline.ts'
import { startMuster } from '../fleet/muster.ts'
import type { Servers } from '../fleet/servers.ts'
import { type LoadOrder, sendLoad } from '../load/load.ts'
import { contestCell, type Figures, type Measure, measureBoth } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import type { System } from '../system.ts'
import { until } from '../until.ts'
import { measureShares } from './shares.ts'

const OPTIONS = { concurrency: 10, poolSize: 10, runMs: 20 }
const AFTER_RELEASE_MS = 50

/** (f) How long one command waits behind another tenant's backlog, and how evenly slots are shared among tenants. */
export async function fairness(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const backlog = measure.size({ full: 10_000, quick: 2000, trial: 200 })
  const contest = await measureBoth(measure, {
    muster: () => startMuster(servers, { ...OPTIONS, workspaces: 2 }),
    baseline: () => startBaseline(servers, OPTIONS),
    round: (system) => oneBehind(system, backlog),
  })
  return [
    contestCell(contest, 'waitMs', {
      name: `one command behind ${backlog} of another tenant: submit to start`,
      unit: 'ms',
    }),
    contestCell(contest, 'afterReleaseMs', {
      name: 'the same: next release to start',
      unit: 'ms',
      goal: ({ muster }) => ({ text: `<= ${AFTER_RELEASE_MS} ms`, reached: muster.max <= AFTER_RELEASE_MS }),
    }),
    await measureShares(servers, measure),
  ]
}

async function oneBehind(system: System, backlog: number): Promise<Figures<'waitMs' | 'afterReleaseMs'>> {
  const [many] = system.target.clients
  // The baseline knows no tenants.
  const one = system.target.clients.at(-1)
  if (many === undefined || one === undefined) throw new Error('there are no tenants')
  const send = (client: typeof one, order: LoadOrder) => sendLoad({ ...system.target, clients: [client] }, order)
  await send(many, { kind: 'closed', clients: 64, requests: backlog })
  const worker = await system.startWorker()
  await until('the worker to be busy', 50, async () => (await system.ended()) >= OPTIONS.concurrency)
  const { ids, dueAtMs } = await send(one, { kind: 'closed', clients: 1, requests: 1 })
  const [id = '', sentAtMs = 0] = [ids[0], dueAtMs[0]]
  const begin = await until('the command to have run', 250, async () =>
    (await system.begins()).find((run) => run.id === id),
  )
  const releasedAtMs = await system.firstEndAfter(id)
  await worker.kill()
  if (releasedAtMs === null) throw new Error('no run ended after the command was accepted: its backlog was gone')
  return { waitMs: begin.began_at_ms - sentAtMs, afterReleaseMs: begin.began_at_ms - releasedAtMs }
}
