import { DEFAULT_POLICY } from '@muster/contracts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AcceptVerdict } from '../src/index.ts'
import { openRoad, type Road } from './road-fixture.ts'

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

const PLAIN = { fingerprint: null }
const STRICT = { ...DEFAULT_POLICY, retry: { ...DEFAULT_POLICY.retry, max_attempts: 7 } }
const OTHER = { ...PLAIN, policy: STRICT, class_key: `cls_${'1'.repeat(32)}` }

/** All that is kept of a command, but its ids, its place and its times. */
const kept = async (verdict: AcceptVerdict | undefined) =>
  road.one<{ run: Record<string, unknown>; task: Record<string, unknown> }>(
    `SELECT to_jsonb(r) - '{id,task_id,run_order,accepted_at,queued_at,offerable_at}'::text[] AS run,
       to_jsonb(t) - '{id,run_id,created_at,updated_at}'::text[] AS task
     FROM runs r JOIN tasks t ON t.id = r.task_id AND t.run_id = r.id WHERE r.id = $1`,
    verdict?.run_id,
  )

test('a plain command is kept alike whatever else is in its batch, each with its own policy', async () => {
  const alone = await road.accept(PLAIN, OTHER, PLAIN)
  const beside = await road.accept(PLAIN, OTHER, PLAIN, { ...PLAIN, label: 'not plain' })
  for (const [index, policy] of [DEFAULT_POLICY, STRICT, DEFAULT_POLICY].entries()) {
    const one = await kept(alone[index])
    expect(one.run['policy']).toEqual(policy)
    expect(one).toEqual(await kept(beside[index]))
  }
  expect((await kept(beside[3])).run['label']).toBe('not plain')
})
