import { afterAll, beforeAll, expect, test } from 'vitest'
import { recentlyOfferable } from '../src/index.ts'
import { openRoad, type Road } from './road-fixture.ts'

const BATCH = 100
/** More than are looked at in one tick. */
const BATCHES = 55

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

test('of more runs than a tick looks at, those that became offerable last and first are among them', async () => {
  const [first] = await road.accept({})
  for (let batch = 0; batch < BATCHES; batch++) await road.accept(...Array.from({ length: BATCH }, () => ({})))
  const [last, later] = await road.accept({}, { delay_ms: 3_600_000 })
  const found = new Set(await recentlyOfferable(road.database.pool))
  expect(found.has(first?.run_id ?? '')).toBe(true)
  expect(found.has(last?.run_id ?? '')).toBe(true)
  expect(found.has(later?.run_id ?? '')).toBe(false)
  expect(found.size).toBeLessThan(BATCH * BATCHES)
})
