import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSlotComparer } from '../src/compare-slots.ts'
import { startSlot } from '../src/index.ts'
import { openStagedFleet, type StagedFleet } from './staged-fleet.ts'

let fleet: StagedFleet
let counted: { leaked: number; restored: number }
let compare: () => Promise<void>
beforeAll(async () => {
  fleet = await openStagedFleet()
  counted = { leaked: 0, restored: 0 }
  const comparer = createSlotComparer({
    ...fleet.context,
    report: {
      leaked: (slots) => {
        counted.leaked += slots
      },
      restored: (slots) => {
        counted.restored += slots
      },
    },
  })
  compare = () => comparer.compare()
})
afterAll(() => fleet.close())

test('a run that ends while slots are compared with runs is no leak', async () => {
  const node = await fleet.node()
  const held = await fleet.hold((await fleet.submit(await fleet.agent())).run.id, node)
  await fleet.advance(6000)
  fleet.staging.at('held_runs', { before: () => fleet.finish(held) })
  await compare()
  expect(counted).toEqual({ leaked: 0, restored: 0 })
  expect(fleet.logged.filter(({ level }) => level === 'warn')).toEqual([])
})

test('a slot without a run is counted once, when it was freed, though the first try never came', async () => {
  const node = await fleet.node()
  const { run } = await fleet.submit(await fleet.agent())
  await startSlot(fleet.context, fleet.job(run.id), node)
  await fleet.advance(6000)
  fleet.staging.at('gate.release', { lose: 'call' })
  await compare()
  await compare()
  await compare()
  expect(counted.leaked).toBe(1)
  expect((await fleet.inGate(run.id)).state).toBe('reserved')
})

test('a running run without a slot is counted once, when it got one, though the first try never came', async () => {
  const node = await fleet.node()
  const held = await fleet.hold((await fleet.submit(await fleet.agent())).run.id, node)
  await fleet.gate.release([{ runId: held.run_id, admission: held.admission }], [])
  fleet.staging.at('gate.restore', { lose: 'call' })
  for (let n = 0; n < 4; n++) await compare()
  expect(counted.restored).toBe(1)
  expect((await fleet.inGate(held.run_id)).state).toBe('started')
})

test('a slot that cannot be freed keeps no other one, and is told of', async () => {
  const node = await fleet.node()
  const agent = await fleet.agent()
  const runs = [await fleet.submit(agent), await fleet.submit(agent)].map(({ run }) => run.id)
  for (const id of runs) await startSlot(fleet.context, fleet.job(id), node)
  await fleet.advance(6000)
  fleet.staging.at('burn_admission', { fault: true })
  await expect(compare()).rejects.toThrow()
  expect((await fleet.inGate(runs[1] ?? '')).state).toBe('reserved')
})

test('a Redis that answers only now and then is not asked for all that is new each time that it does', async () => {
  const asked = () => fleet.staging.calls.filter((step) => step === 'recently_offerable').length
  const before = asked()
  for (let n = 0; n < 5; n++) {
    fleet.staging.at('gate.sweep', { lose: 'call' })
    await fleet.ticker.sweep()
    await fleet.ticker.sweep()
  }
  expect(asked() - before).toBe(1)
})
