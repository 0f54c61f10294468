import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRunHolder, startSlot } from '../src/index.ts'
import { openStagedFleet, type StagedFleet } from './staged-fleet.ts'

let fleet: StagedFleet
beforeAll(async () => {
  fleet = await openStagedFleet()
})
afterAll(() => fleet.close())

test('a worker that waited for Postgres takes jobs again, also when it is answered with a refusal', async () => {
  const node = await fleet.node()
  const { run } = await fleet.submit(await fleet.agent())
  const told: string[] = []
  const holder = createRunHolder(fleet.context, {
    places: 1,
    signal: new AbortController().signal,
    onUndecided: () => told.push('undecided'),
    onDecided: () => told.push('decided'),
  })
  const job = fleet.job(run.id)
  expect(await startSlot(fleet.context, job, node)).toBe('started')
  fleet.staging.at('claim_runs', { lose: 'call' })
  fleet.staging.at('claim_runs', { fault: true })
  await expect(holder.claim(job, node)).rejects.toThrow()
  expect(told).toEqual(['undecided', 'decided'])
})
