import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkInvariants } from '../src/index.ts'
import { createReoffering } from '../src/offer-unknown.ts'
import { publishEvents } from '../src/publish-events.ts'
import { openStagedFleet, type StagedFleet } from './staged-fleet.ts'

let fleet: StagedFleet
beforeAll(async () => {
  fleet = await openStagedFleet()
})
afterAll(() => fleet.close())

test('a run whose offer was lost is counted as brought back once, when the gate has it', async () => {
  let broughtBack = 0
  const report = {
    recovered: (_cause: string, runs: number) => {
      broughtBack += runs
    },
  }
  const { offerRecent } = createReoffering({ ...fleet.context, report })
  fleet.staging.at('gate.offer', { lose: 'call' })
  const { run } = await fleet.submit(await fleet.agent())
  fleet.staging.at('gate.offer', { lose: 'call' })
  for (let n = 0; n < 3; n++) await offerRecent()
  expect((await fleet.inGate(run.id)).state).toBe('parked')
  expect(broughtBack).toBe(1)
})

const longAgo = () =>
  fleet.database.pool.query(
    `WITH r AS (UPDATE runs SET offerable_at = now() - interval '1 minute')
     UPDATE sessions SET named_at = now() - interval '1 minute' WHERE current_run_id IS NOT NULL`,
  )

test('a run that may start and that the gate never heard of is told by the invariants, until the backlog was looked through', async () => {
  const agent = await fleet.agent()
  const lost: string[] = []
  for (const command of [{}, { session_key: 'lost' }, { delay_ms: 60_000 }]) {
    fleet.staging.at('gate.offer', { lose: 'call' })
    lost.push((await fleet.submit(agent, command)).run.id)
  }
  expect((await checkInvariants(fleet.context)).violations).toEqual([])
  await longAgo()
  const { violations } = await checkInvariants(fleet.context)
  expect(violations.map(({ code, run_id }) => `${code} ${run_id}`).toSorted()).toEqual(
    lost.map((id) => `unknown_to_gate ${id}`).toSorted(),
  )
  await createReoffering(fleet.context).stepBacklog()
  expect((await checkInvariants(fleet.context)).violations).toEqual([])
})

test('a command that waits for its time in an idle session hinders neither the look through the backlog nor a rebuild', async () => {
  const agent = await fleet.agent({ limits: { concurrency: 1 } })
  for (const delay_ms of [60_000, 3_600_000]) await fleet.submit(agent, { session_key: 'idle', delay_ms })
  fleet.staging.at('gate.offer', { lose: 'call' })
  const { run } = await fleet.submit(agent)
  await longAgo()
  await createReoffering(fleet.context).stepBacklog()
  expect((await fleet.inGate(run.id)).state).toBe('parked')
  expect(await fleet.rebuild()).toBe('loaded')
  expect((await fleet.inGate(run.id)).state).toBe('parked')
})

test('a gate that refuses offers and live events is told of once for as long as it does', async () => {
  const agent = await fleet.agent({ limits: { concurrency: 1 } })
  const said = (message: string) => fleet.logged.filter((line) => line.message === message).length
  const event = { seq: 1, attempt: null, type: 'run.queued', at: new Date().toISOString(), data: {} } as const
  for (const faults of [3, 2]) {
    for (let n = 0; n < faults; n++) {
      fleet.staging.at('gate.offer', { fault: true })
      const { run } = await fleet.submit(agent)
      fleet.staging.at('gate.publish', { fault: true })
      await publishEvents(fleet.context, [{ ...event, run_id: run.id }])
    }
    const { run } = await fleet.submit(agent)
    await publishEvents(fleet.context, [{ ...event, run_id: run.id }])
  }
  expect([said('offers failed'), said('events were not shown live')]).toEqual([2, 2])
})
