import { DUTIES } from '@muster/engine'
import { markDuties, takeTick } from '@muster/store'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Fixture, openFixture } from './gateway-fixture.ts'

let fixture: Fixture
beforeAll(async () => {
  fixture = await openFixture()
})
afterAll(() => fixture.close())

const health = () => fixture.call('GET', '/health', { key: null })
const regular = DUTIES.filter((duty) => duty !== 'rebuild')

test('a fleet whose duties nobody does is unhealthy, though a gateway may be ready', async () => {
  const reply = await health()
  expect(reply.status).toBe(503)
  expect(reply.at('status')).toBe('unhealthy')
  expect(reply.at('duties.slots')).toEqual({ status: 'never', age_seconds: null, limit_seconds: 30 })
  expect((await fixture.call('GET', '/readyz', { key: null })).status).toBe(200)
})

test('it is healthy when the tick is taken and each duty ended well lately, whoever did it', async () => {
  await takeTick(fixture.database.pool, 900)
  await markDuties(fixture.database.pool, regular.slice(1))
  expect((await health()).at(`duties.${regular[0]}.status`)).toBe('never')
  await markDuties(fixture.database.pool, regular)
  const reply = await health()
  expect(reply.status).toBe(200)
  for (const duty of regular) expect(reply.at(`duties.${duty}.status`)).toBe('ok')
  expect(reply.at('duties.rebuild')).toBeUndefined()
  expect(reply.at('tick.status')).toBe('ok')
  expect(reply.at('checks.postgres.status')).toBe('ok')
})

test('one stale duty is enough, and it is named', async () => {
  await fixture.database.pool.query(
    `UPDATE fleet SET duty_marks = duty_marks || jsonb_build_object('slots', now() - interval '40 seconds')`,
  )
  const reply = await health()
  expect(reply.status).toBe(503)
  expect(reply.at('duties.slots.status')).toBe('stale')
  expect(reply.at('duties.due.status')).toBe('ok')
  await markDuties(fixture.database.pool, ['slots'])
  await fixture.database.pool.query(`UPDATE fleet SET ticked_at = now() - interval '6 seconds'`)
  expect((await health()).at('tick.status')).toBe('stale')
})
