import { newId } from '@muster/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { appendEvents, listSnapshots } from '../src/index.ts'
import { pageOfIds } from '../src/page-of-ids.ts'
import { openRoad, type Road } from './road-fixture.ts'

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

const BYTES = 1_000_000

test('where all of a page was removed while it was read, the next page begins with what follows it', async () => {
  const { run_id: left } = await road.acceptOne()
  const removed = [newId('run'), newId('run')].sort().reverse()
  const { run } = road.database.prisma
  const page = await pageOfIds(
    road.database,
    'runs',
    { limit: 2, before: null },
    {
      ids: async () => [...removed, left].map((id) => ({ id })),
      rows: (ids) => run.findMany({ where: { id: { in: ids } }, select: { id: true } }),
      itemOf: (row) => row.id,
    },
  )
  expect(page).toEqual({ items: [], next: removed.at(-1) })
})

test('a page of snapshots ends before it is too large, and the next one goes on with what follows', async () => {
  const { pool } = road.database
  const { run_id: runId } = await road.acceptOne()
  const { generation } = await road.held(await road.node(), runId)
  for (let flush = 1; flush <= 20; flush++) {
    const events = [{ type: 'agent.snapshot' as const, data: {}, state: `${flush}${'x'.repeat(BYTES)}` }]
    expect(await appendEvents(pool, [{ runId, generation, flush, events }])).not.toContain(null)
  }
  const seen: number[] = []
  let pages = 0
  for (let before: string | null = null; ; pages++) {
    const page: Awaited<ReturnType<typeof listSnapshots>> = await listSnapshots(pool, runId, { limit: 100, before })
    seen.push(...page.items.map((item) => item.seq))
    expect(JSON.stringify(page.items).length).toBeLessThan(10 * BYTES)
    if (page.next === null) break
    before = page.next
  }
  expect(pages).toBe(2)
  expect(seen).toEqual(Array.from({ length: 22 }, (_, index) => 22 - index))
})
