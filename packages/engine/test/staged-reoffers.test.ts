import { afterAll, beforeAll, expect, test } from 'vitest'
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
