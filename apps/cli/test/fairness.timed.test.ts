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

/* What the runs of a tenant last, in seconds: even, one long in four, long, and short. */
const LENGTHS = [
  [0.6, 0.6, 0.6, 0.6],
  [0.4, 0.4, 0.4, 1.2],
  [1.2, 1, 1.1, 1.2],
  [0.3, 0.4, 0.3, 0.4],
]
const LONGEST_S = 1.2
const SLOTS = 8
const WINDOW_S = sized({ test: 15, prove: 50 * LONGEST_S })

test(
  'slot-seconds of 20 tenants that always have work, with mixed run lengths, are even: Jain >= 0.98',
  async () => {
    await using fleet = await startFleet({ workers: 1, slots: SLOTS })
    const books = new Books(fleet.facts()?.database_url ?? '')
    try {
      const [first, ...tenants] = await makeTenants(fleet, 21)
      if (first === undefined) throw new Error('no tenants')
      await fleet.admin.patch(`/v1/workspaces/${first.workspaceId}`, { limits: { concurrency: null } })
      const pause = (paused: boolean) =>
        Promise.all(
          tenants.map(({ workspaceId }) =>
            fleet.admin.patch(`/v1/workspaces/${workspaceId}`, { limits: { concurrency: null }, paused }),
          ),
        )
      await pause(true)
      const share = (WINDOW_S * SLOTS) / tenants.length
      for (const [index, { client }] of tenants.entries()) {
        const lengths = LENGTHS[index % LENGTHS.length] ?? []
        const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length
        const submit = (n: number) =>
          client.post('/v1/commands', { agent: 'two', message: `sleep ${lengths[n % lengths.length]}` })
        const answers = await Promise.all(
          Array.from({ length: Math.ceil((2 * share) / mean) + SLOTS }, (_, n) => submit(n)),
        )
        for (const answer of answers) expectStatus(answer, 202)
      }
      // one that is not measured holds every slot while the others are resumed: so none of them begins with the pool for itself
      for (let slot = 0; slot < SLOTS; slot++)
        expectStatus(await first.client.post('/v1/commands', { agent: 'two', message: 'sleep 8' }), 202)
      await untilHeld(books, SLOTS)
      await pause(false)
      await untilHeld(books, 0, first.workspaceId)
      const from = (await now(books)) + 1000
      const to = from + WINDOW_S * 1000
      await until(async () => ((await now(books)) > to ? true : undefined), {
        deadlineMs: WINDOW_S * 1000 + 60_000,
        everyMs: 500,
        what: 'the window to pass',
      })
      const left = await books.query<{ tenants: number }>(
        `SELECT count(DISTINCT workspace_id)::integer AS tenants FROM runs WHERE status = 'queued'`,
      )
      expect(left).toEqual([{ tenants: tenants.length }])
      const held = slotTimes(
        await books.attempts(),
        tenants.map(({ workspaceId }) => workspaceId),
        from,
        to,
      )
      const sum = held.reduce((total, ms) => total + ms, 0)
      const jain = sum ** 2 / (held.length * held.reduce((total, ms) => total + ms ** 2, 0))
      expect(jain, held.map(Math.round).join(' ')).toBeGreaterThanOrEqual(0.98)
    } finally {
      await books.close()
    }
  },
  sized({ test: 180_000, prove: 400_000 }),
)

/* Of the promise, 5 %, a shorter window sees less: one run more or less counts in it. */
const ENDED = sized({ test: 200, prove: 1000 })
const OFF_BY = sized({ test: 0.1, prove: 0.05 })

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
        Array.from({ length: (3 * ENDED) / 4 }, () =>
          tenant.client.post('/v1/commands', { agent: 'two', message: 'sleep 0.3' }),
        ),
      ),
    )
    for (const tenant of chosen) await fleet.admin.patch(`/v1/workspaces/${tenant.workspaceId}`, { paused: false })
    // the first to be resumed had the pool for itself for a moment: a second later that is over
    const from = (await now(books)) + 1000
    await until(async () => ((await ended()) >= ENDED ? true : undefined), {
      deadlineMs: 180_000,
      what: `${ENDED} runs to end`,
    })
    const lines = await books.attempts()
    const to = Math.max(...lines.map((line) => line.endedMs ?? 0))
    const held = slotTimes(
      lines,
      chosen.map(({ workspaceId }) => workspaceId),
      from,
      to,
    )
    const unit = held.reduce((sum, ms) => sum + ms, 0) / 7
    for (const [index, ms] of held.entries()) expect(Math.abs(ms / (unit * 2 ** index) - 1)).toBeLessThan(OFF_BY)
  } finally {
    await books.close()
  }
  async function ended(): Promise<number> {
    const [row] = await books.query<{ n: number }>(`SELECT count(*)::integer AS n FROM runs WHERE status = 'succeeded'`)
    return row?.n ?? 0
  }
}, 300_000)

/** Until this many runs are held, of one workspace or of all. */
async function untilHeld(books: Books, count: number, workspaceId: string | null = null): Promise<void> {
  const held = `SELECT count(*)::integer AS n FROM runs WHERE status = 'running' AND ($1::text IS NULL OR workspace_id = $1)`
  const asked = async () => (await books.query<{ n: number }>(held, workspaceId))[0]?.n
  await until(async () => ((await asked()) === count ? true : undefined), {
    deadlineMs: 60_000,
    what: `${count} runs to be held`,
  })
}

/** The clock of Postgres, by which attempts are timed. */
async function now(books: Books): Promise<number> {
  const [row] = await books.query<{ ms: number }>('SELECT (extract(epoch FROM now()) * 1000)::float8 AS ms')
  return row?.ms ?? 0
}

/** The milliseconds of the window for which attempts of each workspace ran. */
function slotTimes(lines: readonly AttemptLine[], workspaceIds: readonly string[], from: number, to: number): number[] {
  const within = ({ startedMs, endedMs }: AttemptLine) =>
    Math.max(0, Math.min(endedMs ?? to, to) - Math.max(startedMs, from))
  return workspaceIds.map((id) =>
    lines.filter(({ workspaceId }) => workspaceId === id).reduce((sum, line) => sum + within(line), 0),
  )
}
