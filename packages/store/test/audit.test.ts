import { afterAll, beforeAll, expect, test } from 'vitest'
import { auditStore } from '../src/index.ts'
import { openRoad, type Road } from './road-fixture.ts'

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

async function heldRun(): Promise<string> {
  const { run_id } = await road.acceptOne()
  await road.held(await road.node(), run_id)
  return run_id
}

/** Notes an event behind the back of the functions that number them. */
const note = (runId: string, seq: number, lastSeq: number) =>
  road.one(
    `WITH told AS (UPDATE runs SET last_seq = $3 WHERE id = $1)
     INSERT INTO noted_events (run_id, seq, type, data) VALUES ($1, $2, 'agent.log', '{}')`,
    runId,
    seq,
    lastSeq,
  )

test.each([
  ['a hole in a log', 4, 4],
  ['a number that the run itself tells already', 2, 3],
  ['a log that goes on behind what its run says', 3, 2],
])('%s is found', async (_, seq, lastSeq) => {
  const runId = await heldRun()
  const holes = async () => (await auditStore(road.database.pool)).filter((finding) => finding.run_id === runId)
  expect(await holes()).toEqual([])
  await note(runId, seq, lastSeq)
  expect(await holes()).toMatchObject([{ code: 'event_hole' }])
})
