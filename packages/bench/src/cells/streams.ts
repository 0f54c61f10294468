import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { lasting, startMuster } from '../fleet/muster.ts'
import type { Servers } from '../fleet/servers.ts'
import { sendLoad } from '../load/load.ts'
import { openReaders } from '../load/open-readers.ts'
import { type Figures, type Measure, soloCell } from '../measure.ts'
import type { Cell } from '../report/cell.ts'
import { quantile } from '../statistics.ts'

const READERS_OF_A_RUN = 10
/** About; it differs from run to run, so that they do not all speak at the same instant. */
const EVENT_EVERY_MS = 1000
const PACES = 40
const SETTLE_MS = 2000
const GOAL_MS = 100

type Size = { readonly runs: number; readonly eventsOfARun: number }
type Round = Figures<'p50' | 'p99' | 'kib'>

/** (h) How long an event is on its way to the readers of one gateway, and what a reader costs the gateway in memory. */
export async function streams(servers: Servers, measure: Measure): Promise<readonly Cell[]> {
  const size: Size = {
    runs: measure.size({ full: 200, quick: 200, trial: 10 }),
    eventsOfARun: measure.size({ full: 20, quick: 6, trial: 2 }),
  }
  const rounds: Round[] = []
  for (let round = 0; round < measure.rounds; round++) rounds.push(await deliver(servers, size))
  const name = `events to ${size.runs * READERS_OF_A_RUN} readers of one gateway`
  return [
    soloCell(rounds, 'p50', { name: `${name}, p50`, unit: 'ms' }),
    soloCell(rounds, 'p99', {
      name: `${name}, p99`,
      unit: 'ms',
      goal: ({ muster }) => ({ text: `<= ${GOAL_MS} ms`, reached: muster.median <= GOAL_MS }),
    }),
    soloCell(rounds, 'kib', { name: 'memory of the gateway per reader', unit: 'KiB' }),
  ]
}

/** The runs wait for a worker while their readers gather, so that every event of an agent finds all its readers. */
async function deliver(servers: Servers, { runs, eventsOfARun }: Size): Promise<Round> {
  const muster = await startMuster(servers, { concurrency: runs, poolSize: 10 })
  try {
    const values = Array.from({ length: PACES }, (_, pace) => {
      const everyMs = EVENT_EVERY_MS * (0.8 + (0.4 * pace) / PACES)
      return lasting({ ms: Math.round(everyMs * eventsOfARun), events: eventsOfARun })
    })
    const target = { ...muster.target, vary: { field: 'message', values } }
    const { ids } = await sendLoad(target, { kind: 'closed', clients: 16, requests: runs })
    const { tenants } = muster
    const streamsOf = ids.flatMap((id, index) => {
      const { authorization = '' } = tenants[index % tenants.length] ?? {}
      return Array.from({ length: READERS_OF_A_RUN }, () => ({ path: `/v1/runs/${id}/events`, authorization }))
    })
    await sleep(SETTLE_MS)
    const alone = residentKib(muster.gatewayPid)
    const readers = await openReaders({ url: muster.url, readers: streamsOf })
    try {
      await sleep(SETTLE_MS)
      const kib = (residentKib(muster.gatewayPid) - alone) / streamsOf.length
      const worker = await muster.startWorker()
      const delaysMs = await readers.delaysMs()
      await worker.stop()
      const expected = streamsOf.length * eventsOfARun
      if (delaysMs.length !== expected) throw new Error(`${delaysMs.length} events arrived, not ${expected}`)
      return { p50: quantile(delaysMs, 0.5), p99: quantile(delaysMs, 0.99), kib }
    } finally {
      readers.release()
    }
  } finally {
    await muster.stop()
  }
}

/** What a process holds in memory. */
function residentKib(pid: number): number {
  if (process.platform !== 'linux')
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }))
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])
}
