import { newId } from '@muster/core'
import { until } from '@muster/testkit'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { explainRun } from '../src/index.ts'
import { openStagedFleet, type StagedFleet } from './staged-fleet.ts'

const HEAR_AGAIN_MS = 1000

let fleet: StagedFleet
beforeAll(async () => {
  fleet = await openStagedFleet()
})
afterAll(() => fleet.close())

const sql = (text: string, ...values: unknown[]) => fleet.database.pool.query(text, values)
const offerableAt = (secondsAgo: number, runId: string) =>
  sql(`UPDATE runs SET offerable_at = now() - $1 * interval '1 second' WHERE id = $2`, secondsAgo, runId)
/** As many runs like this one, which became offerable so long ago. */
const likeIt = (runId: string, count: number, secondsAgo: number) =>
  sql(
    `INSERT INTO runs SELECT p.* FROM runs r CROSS JOIN unnest($2::text[]) AS n (id) CROSS JOIN LATERAL
       jsonb_populate_record(r, jsonb_build_object('id', n.id, 'offerable_at', now() - $1 * interval '1 second')) p WHERE r.id = $3`,
    secondsAgo,
    Array.from({ length: count }, () => newId('run')),
    runId,
  )
const lostOffer = async (...given: Parameters<StagedFleet['submit']>): Promise<string> => {
  fleet.staging.at('gate.offer', { lose: 'call' })
  return (await fleet.submit(...given)).run.id
}
const comeBack = async (): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, HEAR_AGAIN_MS + 50))
  fleet.staging.at('gate.sweep', { lose: 'call' })
  await fleet.ticker.sweep()
  await fleet.ticker.sweep()
}
const isKnown = async (runId: string): Promise<boolean> => (await fleet.inGate(runId)).state !== 'unknown'
const calls = (step: string): number => fleet.staging.calls.filter((call) => call === step).length

test('a gate that was away for a moment hears all that it missed, however many runs came before and after, without a tick', async () => {
  const runId = await lostOffer(await fleet.agent())
  await offerableAt(2, runId)
  await likeIt(runId, 1200, 3)
  await likeIt(runId, 4200, 1)
  await comeBack()
  await until(() => isKnown(runId))
  await sql(`DELETE FROM runs WHERE id <> $1`, runId)
  await fleet.rebuild()
})

test('it hears of the runs that their sessions named meanwhile, whenever they came', async () => {
  const agent = await fleet.agent()
  const first = await fleet.submit(agent, { session_key: 's' })
  const second = await fleet.submit(agent, { session_key: 's' })
  await offerableAt(3600, second.run.id)
  await sql(`SELECT cancel_run($1, 'cancelled', 'asked')`, first.run.id)
  fleet.staging.at('recently_offerable', { fault: true })
  expect(await isKnown(second.run.id)).toBe(false)
  await comeBack()
  await until(() => isKnown(second.run.id))
})

test('a gate that comes back again while it is told is told once more after it, and not twice at once', async () => {
  await until(async () => calls('named_since') === calls('backlog_since'))
  const told = Promise.withResolvers<void>()
  const before = calls('backlog_since')
  fleet.staging.at('backlog_page', { before: () => told.promise })
  await comeBack()
  await comeBack()
  const runId = await lostOffer(await fleet.agent())
  fleet.staging.at('recently_offerable', { fault: true })
  await comeBack()
  expect(calls('backlog_since') - before).toBe(1)
  told.resolve()
  await until(() => isKnown(runId))
  await until(async () => calls('backlog_since') - before === 2)
})

test('a gate that could not be told what it missed is told again, without having been away anew', async () => {
  await until(async () => calls('named_since') === calls('backlog_since'))
  const runId = await lostOffer(await fleet.agent())
  fleet.staging.at('recently_offerable', { fault: true })
  fleet.staging.at('backlog_since', { fault: true })
  await comeBack()
  await until(async () => fleet.logged.some((line) => 'duty' in line.fields && line.fields.duty === 'backlog'))
  await offerableAt(5, runId)
  fleet.staging.at('recently_offerable', { fault: true })
  await until(async () => {
    await fleet.ticker.sweep()
    return isKnown(runId)
  })
})

test('a tick takes page after page of a flood of runs that are due or expired, as long as its share of time lasts', async () => {
  const count = async (where: string): Promise<number> =>
    (await sql(`SELECT count(*)::integer AS n FROM runs WHERE status = 'queued' AND (${where})`)).rows[0].n
  const agent = await fleet.agent()
  const { run } = await fleet.submit(agent, { delay_ms: 3_600_000 })
  await likeIt(run.id, 1100, 0)
  await sql(`UPDATE runs SET not_before = now() - interval '1 minute', expires_at = now() WHERE scheduled`)
  const other = await fleet.submit(agent, { session_key: 'other', delay_ms: 3_600_000 })
  await sql(`UPDATE runs SET not_before = now() WHERE id = $1`, other.run.id)
  let now = performance.now()
  const clock = vi.spyOn(performance, 'now')
  try {
    clock.mockImplementation(() => (now += 1000))
    await fleet.tick()
    expect(await isKnown(other.run.id)).toBe(true)
    expect(await count('expires_at IS NOT NULL')).toBe(601)
    clock.mockImplementation(() => now)
    await fleet.tick()
    expect(await count('scheduled OR expires_at IS NOT NULL')).toBe(0)
  } finally {
    clock.mockRestore()
  }
})

test('a run that is due and joins the order of its session with the next tick is not said to wait for runs before it', async () => {
  const agent = await fleet.agent()
  const later = { session_key: 'joins', delay_ms: 3_600_000 }
  const { run } = await fleet.submit(agent, later)
  await sql(`UPDATE runs SET not_before = now() - interval '1 millisecond' WHERE id = $1`, run.id)
  const idle = await explainRun(fleet.context, run.id)
  expect(idle).toMatchObject({ position: null, runs_ahead: null, blocked_by: { kind: 'none' } })
  expect(idle.text).toMatch(/due and joins the order of its session within a second\.$/)
  const { run: current } = await fleet.submit(agent, { session_key: 'joins' })
  const busy = await explainRun(fleet.context, run.id)
  expect(busy).toMatchObject({
    position: null,
    runs_ahead: null,
    blocked_by: { kind: 'session_busy', node: run.session_id },
  })
  expect(busy.text).toContain(current.id)
  await fleet.tick()
  expect(await explainRun(fleet.context, run.id)).toMatchObject({ position: 2, runs_ahead: 1 })
})

test('a run that is due and not yet let in is said to be let in, and not to wait for its time', async () => {
  await fleet.node()
  const { run } = await fleet.submit(await fleet.agent(), { delay_ms: 5000 })
  expect((await explainRun(fleet.context, run.id)).blocked_by.kind).toBe('not_due')
  await fleet.advance(6000)
  const told = await explainRun(fleet.context, run.id)
  expect(told.blocked_by.kind).toBe('none')
  expect(told.text).toBe('The run is due and is being let in now.')
})
