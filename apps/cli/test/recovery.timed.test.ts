import { sized, startFleet, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { Books } from './load/books.ts'

const KILLS = sized({ test: 2, prove: 20 })
const RUNS_PER_KILL = 2
const WITHIN_MS = 5000

test(
  'the runs of a worker killed by SIGKILL are running again within 5 s, given a free slot elsewhere',
  async () => {
    await using fleet = await startFleet({ workers: 2, slots: 6 })
    const books = new Books(fleet.facts()?.database_url ?? '')
    const took: number[] = []
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        for (let n = 0; n < RUNS_PER_KILL * 2; n++)
          await fleet.client.post('/v1/commands', { agent: 'shell', message: 'sleep 30' })
        const running = () =>
          books.query<{ id: string; generation: number; pid: number }>(
            `SELECT r.id, r.generation, n.pid FROM runs r JOIN nodes n ON n.id = r.node_id WHERE r.status = 'running'`,
          )
        const before = await until(
          async () => {
            const rows = await running()
            return rows.length === RUNS_PER_KILL * 2 ? rows : undefined
          },
          { deadlineMs: 20_000, what: 'the runs to start' },
        )
        const victim = before[0]?.pid ?? 0
        const hit = before.filter((run) => run.pid === victim)
        const killedAt = performance.now()
        process.kill(victim, 'SIGKILL')
        await until(
          async () => {
            const now = new Map((await running()).map((run) => [run.id, run.generation]))
            return hit.every((run) => (now.get(run.id) ?? 0) > run.generation) ? true : undefined
          },
          { deadlineMs: 30_000, everyMs: 25, what: 'every run of the killed worker to run again' },
        )
        took.push(performance.now() - killedAt)
        for (const run of before) await fleet.client.post(`/v1/runs/${run.id}/cancel`)
        await until(async () => ((await books.unfinished()) === 0 ? true : undefined), {
          deadlineMs: 20_000,
          what: 'the runs to be cancelled',
        })
        await until(async () => (fleet.facts()?.worker_pids.includes(victim) === false ? true : undefined), {
          deadlineMs: 20_000,
          what: 'the supervisor to start another worker',
        })
      }
      console.log(`running again after ${took.map((ms) => Math.round(ms)).join(', ')} ms`)
      expect(Math.max(...took)).toBeLessThanOrEqual(WITHIN_MS)
    } finally {
      await books.close()
    }
  },
  sized({ test: 180_000, prove: 600_000 }),
)
