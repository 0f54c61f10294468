import { newId } from '@muster/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { takeLost } from '../src/index.ts'
import { failed, openRoad, type Road, succeeded } from './road-fixture.ts'

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

test.each(['a session', 'none'])(
  'what a lost attempt may have left is told to each that follows until one had a sandbox, in %s',
  async (kind) => {
    const session = kind === 'none' ? {} : { session_key: `left-${newId('session')}` }
    const { run_id } = await road.acceptOne({ max_attempts: 5, ...session })
    const dying = await road.node()
    const lost = await road.held(dying, run_id)
    await road.database.pool.query(`UPDATE nodes SET status = 'inactive' WHERE id = $1`, [dying])
    await takeLost(road.database.pool, 5, 100)
    const left = { run_id, generation: lost.generation, status: 'lost' }
    const node = await road.node()
    const second = await road.held(node, run_id)
    expect(second.previous).toMatchObject(left)
    await road.end(second, { kind: 'handed_back', progressed: false })
    const third = await road.held(node, run_id)
    expect(third.previous).toMatchObject(left)
    await road.end(third, failed)
    const fourth = await road.held(node, run_id)
    expect(fourth.previous).toMatchObject(left)
    await road.end(fourth, failed, { pids: 'enforced' })
    const fifth = await road.held(node, run_id)
    expect(fifth.previous).toMatchObject({ generation: fourth.generation, status: 'failed' })
  },
)

test('the last attempt of a session is told by the order in which slots were given, whatever the clock says', async () => {
  const session_key = `jumps-${newId('session')}`
  const node = await road.node()
  const { run_id: first } = await road.acceptOne({ session_key })
  await road.end(await road.held(node, first), succeeded, { pids: 'enforced' })
  // the clock is an hour behind that from now on
  await road.database.pool.query(
    `UPDATE ended_attempts SET started_at = started_at + interval '1 hour' WHERE run_id = $1`,
    [first],
  )
  const dying = await road.node()
  const { run_id: second } = await road.acceptOne({ session_key })
  const lost = await road.held(dying, second)
  await road.database.pool.query(`UPDATE nodes SET status = 'inactive' WHERE id = $1`, [dying])
  await takeLost(road.database.pool, 5, 100)
  const third = await road.held(node, second)
  expect(third.previous).toMatchObject({ run_id: second, generation: lost.generation, status: 'lost' })
})
