import { startFleet, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { Books } from './load/books.ts'

test('a worker told to stop hands its runs back without charging a try, and another goes on from the saved state', async () => {
  await using fleet = await startFleet({ workers: 2, slots: 2, env: { MUSTER_DRAIN_MS: '500' } })
  const books = new Books(fleet.facts()?.database_url ?? '')
  try {
    const answer = await fleet.client.post('/v1/commands', {
      agent: 'counter',
      message: JSON.stringify({ to: 40, step_ms: 150 }),
    })
    const { run } = answer.body as { run: { id: string } }
    const [held] = await until(
      async () => {
        const rows = await books.query<{ pid: number }>(
          `SELECT n.pid FROM runs r JOIN nodes n ON n.id = r.node_id WHERE r.id = $1 AND r.status = 'running'
            AND EXISTS (SELECT FROM snapshots s WHERE s.run_id = r.id AND s.state IS NOT NULL)`,
          run.id,
        )
        return rows.length > 0 ? rows : undefined
      },
      { deadlineMs: 15_000, what: 'the run to have a state' },
    )
    process.kill(held?.pid ?? 0, 'SIGTERM')
    await until(async () => ((await books.unfinished()) === 0 ? true : undefined), {
      deadlineMs: 40_000,
      what: 'the run to end',
    })
    const [row] = await books.query('SELECT status, attempt_count, attempt_number FROM runs WHERE id = $1', run.id)
    expect(row).toEqual({ status: 'succeeded', attempt_count: 1, attempt_number: 2 })
    const attempts = await books.query<{ status: string }>(
      'SELECT status FROM attempts WHERE run_id = $1 ORDER BY number',
      run.id,
    )
    expect(attempts.map((attempt) => attempt.status)).toEqual(['handed_back', 'succeeded'])
    expect(await books.eventFaults()).toEqual([])
  } finally {
    await books.close()
  }
})
