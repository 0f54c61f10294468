import { sized, startFleet, until } from '@muster/testkit'
import { expect, test } from 'vitest'
import { type AttemptLine, Books } from './load/books.ts'
import { expectStatus, makeTenants } from './load/tenants.ts'

const FLOOD = sized({ test: 600, prove: 10_000 })

test(
  'a single command of one tenant starts at the next release, whatever another has queued, and explain tells the tail its place',
  async () => {
    await using fleet = await startFleet({ workers: 1, slots: 2 })
    const books = new Books(fleet.facts()?.database_url ?? '')
    try {
      const [a, b] = await makeTenants(fleet, 2)
      if (a === undefined || b === undefined) throw new Error('no tenants')
      const submit = (n: number) => a.client.post('/v1/commands', { agent: 'two', message: `sleep 0.2; echo ${n}` })
      const runs: string[] = []
      for (let n = 0; n < FLOOD; n += 50) {
        const answers = await Promise.all(Array.from({ length: Math.min(50, FLOOD - n) }, (_, k) => submit(n + k)))
        for (const answer of answers) runs.push((expectStatus(answer, 202) as { run: { id: string } }).run.id)
      }
      const answer = await b.client.post('/v1/commands', { agent: 'two', message: 'echo me' })
      const { run } = expectStatus(answer, 202) as { run: { id: string } }
      const [started] = await until(
        async () => {
          const rows = await books.query<{ between: number }>(
            `SELECT (SELECT count(*)::integer FROM runs o WHERE o.workspace_id = $2 AND o.started_at > b.queued_at AND o.started_at < b.started_at) AS between
           FROM runs b WHERE b.id = $1 AND b.started_at IS NOT NULL`,
            run.id,
            a.workspaceId,
          )
          return rows.length > 0 ? rows : undefined
        },
        { deadlineMs: 15_000, what: 'the single command to start' },
      )
      // two slots may have been given to A between the commit of B's command and its offer
      expect(started?.between).toBeLessThanOrEqual(2)

      await a.client.patch('/v1/agents/two', { limits: { concurrency: 1 } })
      const tail = await a.client.get(`/v1/runs/${runs.at(-1)}/explain`)
      expect(tail.body).toMatchObject({
        explain: { status: 'queued', position: expect.any(Number), blocked_by: { kind: 'limit', limit: 1 } },
      })
      const { position } = (tail.body as { explain: { position: number } }).explain
      const [{ ahead } = { ahead: 0 }] = await books.query<{ ahead: number }>(
        `SELECT count(*)::integer AS ahead FROM runs WHERE workspace_id = $1 AND status = 'queued'
          AND run_order < (SELECT run_order FROM runs WHERE id = $2)`,
        a.workspaceId,
        runs.at(-1),
      )
      expect(Math.abs(position - 1 - ahead)).toBeLessThanOrEqual(4)
    } finally {
      await books.close()
    }
  },
  sized({ test: 120_000, prove: 300_000 }),
)

test('slot-seconds of tenants that always have work follow the weights 1:2:4', async () => {
  await using fleet = await startFleet({ workers: 1, slots: 7 })
  const books = new Books(fleet.facts()?.database_url ?? '')
  try {
    const tenants = await makeTenants(fleet, 6)
    const chosen = tenants.filter((tenant) => tenant.limit === null).slice(0, 3)
    for (const [index, tenant] of chosen.entries())
      await fleet.admin.patch(`/v1/workspaces/${tenant.workspaceId}`, { weight: 2 ** index, paused: true })
    await Promise.all(
      chosen.flatMap((tenant) =>
        Array.from({ length: 150 }, () => tenant.client.post('/v1/commands', { agent: 'two', message: 'sleep 0.3' })),
      ),
    )
    for (const tenant of chosen) await fleet.admin.patch(`/v1/workspaces/${tenant.workspaceId}`, { paused: false })
    // the first to be resumed had the pool for itself for a moment: a second later that is over
    const [{ from } = { from: 0 }] = await books.query<{ from: number }>(
      'SELECT (extract(epoch FROM now()) * 1000 + 1000)::float8 AS from',
    )
    await until(async () => ((await ended()) >= 200 ? true : undefined), {
      deadlineMs: 90_000,
      what: '200 runs to end',
    })
    const lines = await books.attempts()
    const to = Math.max(...lines.map((line) => line.endedMs ?? 0))
    const within = (line: AttemptLine): number =>
      Math.max(0, Math.min(line.endedMs ?? to, to) - Math.max(line.startedMs, from))
    const held = chosen.map((tenant) =>
      lines.filter((line) => line.workspaceId === tenant.workspaceId).reduce((sum, line) => sum + within(line), 0),
    )
    const unit = held.reduce((sum, ms) => sum + ms, 0) / 7
    for (const [index, ms] of held.entries()) expect(Math.abs(ms / (unit * 2 ** index) - 1)).toBeLessThan(0.1)
  } finally {
    await books.close()
  }
  async function ended(): Promise<number> {
    const [row] = await books.query<{ n: number }>(`SELECT count(*)::integer AS n FROM runs WHERE status = 'succeeded'`)
    return row?.n ?? 0
  }
}, 150_000)
