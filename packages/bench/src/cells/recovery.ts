import { setTimeout as sleep } from 'node:timers/promises'
import { lasting, type Muster, startMuster } from '../fleet/muster.ts'
import type { Program } from '../fleet/program.ts'
import { query, type Servers } from '../fleet/servers.ts'
import { sendLoad } from '../load/load.ts'
import type { Measure } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import { spreadOf } from '../statistics.ts'
import { until } from '../until.ts'

const RUNS = 10
/** Each of two workers has room for all runs. */
const OPTIONS = { concurrency: 2 * RUNS, poolSize: 10, workspaces: 1 }
const FOREVER_MS = 86_400_000
const GOAL_S = 5
/** A kill falls anywhere between two ticks. */
const TICK_MS = 1000

type Held = { readonly id: string; readonly pid: number; readonly started_at_ms: number }

/** (g) How long after the SIGKILL of a worker each of its runs is running on another one. */
export async function recovery(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const kills = measure.size({ full: 20, quick: 3, trial: 1 })
  const muster = await startMuster(servers, { ...OPTIONS, workerEnv: { MUSTER_LOSSES_MAX: '1000' } })
  const workers = new Set<Program>()
  const secondsOf: number[] = []
  try {
    workers.add(await muster.startWorker())
    const target = { ...muster.target, body: { ...muster.target.body, message: lasting({ ms: FOREVER_MS }) } }
    await sendLoad(target, { kind: 'closed', clients: 1, requests: RUNS })
    await running(muster, () => true)
    for (let kill = 0; kill < kills; kill++) {
      const [victim] = workers
      if (victim === undefined) throw new Error('no worker is left')
      workers.add(await muster.startWorker())
      await sleep(Math.random() * TICK_MS)
      // Not the monotonic clock: the start is told by Postgres, of the same machine.
      const killedAtMs = Date.now()
      await victim.kill()
      workers.delete(victim)
      const recovered = await running(muster, ({ pid }) => pid !== victim.pid)
      secondsOf.push(...recovered.map(({ started_at_ms }) => (started_at_ms - killedAtMs) / 1000))
    }
  } finally {
    for (const worker of workers) await worker.kill()
    await muster.stop()
  }
  const spread = spreadOf(secondsOf)
  return [
    {
      name: `SIGKILL of a worker (${kills} times) to each of its ${RUNS} runs running elsewhere`,
      unit: 's',
      muster: spread,
      goal: { text: `max <= ${GOAL_S} s`, reached: spread.max <= GOAL_S },
    },
  ]
}

/** The runs, once all of them run where they should. */
function running(muster: Muster, isThere: (held: Held) => boolean): Promise<readonly Held[]> {
  return until('all runs to run', 50, async () => {
    const held = await query<Held>(
      muster.databaseUrl,
      `SELECT r.id, n.pid, extract(epoch FROM r.attempt_started_at)::float8 * 1000 AS started_at_ms
       FROM runs r JOIN nodes n ON n.id = r.node_id WHERE r.status = 'running'`,
    )
    return held.length === RUNS && held.every(isThere) ? held : null
  })
}
