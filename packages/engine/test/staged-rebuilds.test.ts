import { patchAgent } from '@muster/store'
import { until } from '@muster/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { applyConfiguration, checkInvariants, EventWriter, startSlot } from '../src/index.ts'
import { openStagedFleet, type StagedFleet, SUCCEEDED } from './staged-fleet.ts'

let fleet: StagedFleet
let node: string
beforeAll(async () => {
  fleet = await openStagedFleet()
})
afterAll(() => fleet.close())
beforeEach(async () => {
  node = await fleet.node()
})
afterEach(async () => {
  expect((await checkInvariants(fleet.context)).violations).toEqual([])
  fleet.jobs.length = 0
})

const statusOf = async (runId: string) => (await fleet.run(runId)).status
const warmAt = async () => {
  const [{ epoch, warm }, { rows }] = await Promise.all([
    fleet.gate.state(),
    fleet.database.pool.query('SELECT epoch FROM fleet'),
  ])
  return warm && epoch === rows[0].epoch ? epoch : null
}
const healed = () => until(warmAt, { what: 'the gate to be rebuilt' })

test('a claim that a rebuild overtakes is refused, and its run starts under the new epoch', async () => {
  const { run } = await fleet.submit(await fleet.agent())
  const job = fleet.job(run.id)
  await startSlot(fleet.context, job, node)
  fleet.staging.at('claim_runs', { before: () => fleet.rebuild() })
  expect((await fleet.holder.claim(job, node)).verdict).toBe('refused')
  const held = await fleet.hold(run.id, node)
  expect(held.admission).toBeGreaterThan(job.admission)
  await fleet.finish(held)
})

test('a claim that commits while the epoch is raised keeps its slot through the rebuild', async () => {
  const { run } = await fleet.submit(await fleet.agent())
  const job = fleet.job(run.id)
  await startSlot(fleet.context, job, node)
  fleet.staging.at('claim_runs', { after: () => fleet.rebuild() })
  const verdict = await fleet.holder.claim(job, node)
  if (verdict.verdict !== 'claimed') throw new Error(verdict.verdict)
  expect(await fleet.inGate(run.id)).toMatchObject({ state: 'started', admission: job.admission, nodeId: node })
  expect(await fleet.finish(verdict.run)).toBe('finished')
})

test('a run that ends between the reading and the loading of a rebuild leaves a slot that the reconciler frees', async () => {
  const held = await fleet.hold((await fleet.submit(await fleet.agent())).run.id, node)
  fleet.staging.at('gate.load', { before: () => fleet.finish(held) })
  expect(await fleet.rebuild()).toBe('loaded')
  expect((await fleet.inGate(held.run_id)).state).toBe('started')
  await fleet.advance(6000)
  await fleet.beat(node)
  await fleet.tick()
  expect((await fleet.inGate(held.run_id)).state).toBe('unknown')
})

test.for(['call', 'answer'] as const)(
  'a load whose %s was lost is not repeated: the next tick begins a new epoch',
  async (lose) => {
    const before = (await fleet.gate.state()).epoch ?? 0
    fleet.staging.at('gate.load', { lose })
    expect(await fleet.rebuild()).toBe('unavailable')
    await fleet.advance(4000)
    if (lose === 'call') {
      await fleet.tick()
      expect(await healed()).toBe(before + 2)
    } else expect(await warmAt()).toBe(before + 1)
  },
)

test('of two rebuilds at once the later epoch stays, and no run is lost between them', async () => {
  const agent = await fleet.agent()
  const runs = [await fleet.submit(agent), await fleet.submit(agent)].map(({ run }) => run.id)
  fleet.jobs.length = 0
  fleet.staging.at('gate.load', { before: () => fleet.rebuild() })
  expect(await fleet.rebuild()).toBe('refused')
  expect(await warmAt()).not.toBeNull()
  for (const run of runs) await fleet.finish(await fleet.hold(run, node))
})

test('a flush while runs run disturbs none of them, keeps every limit and leaves what is paused paused', async () => {
  const limited = await fleet.agent({ limits: { concurrency: 2 } })
  const paused = await fleet.agent()
  const patched = await patchAgent(fleet.database, fleet.workspace.id, paused.id, { paused: true })
  await applyConfiguration(fleet.context, patched?.configuration ?? [])
  const runs: string[] = []
  for (let n = 0; n < 4; n++) runs.push((await fleet.submit(limited)).run.id)
  const held = [await fleet.hold(runs[0] ?? '', node), await fleet.hold(runs[1] ?? '', node)]
  const waiting = await fleet.submit(paused)
  await fleet.redis.command('FLUSHALL')
  await fleet.advance(4000)
  await fleet.beat(node, { held })
  await fleet.tick()
  await healed()
  await until(async () => (await fleet.inGate(waiting.run.id)).state === 'parked')
  await fleet.beat(node, { held })
  await fleet.tick()
  expect(fleet.jobs).toEqual([])
  for (const run of held)
    expect(await fleet.run(run.run_id)).toMatchObject({ status: 'running', generation: run.generation })
  expect((await fleet.inGate(runs[2] ?? '')).state).toBe('parked')
  for (const run of held) expect(await fleet.finish(run)).toBe('finished')
  for (const run of runs.slice(2)) await fleet.finish(await fleet.hold(run, node))
  await fleet.beat(node)
  await fleet.tick()
  expect((await fleet.inGate(waiting.run.id)).state).toBe('parked')
})

test('a node that was declared dead can neither write nor finish, and its run is held by another at once', async () => {
  const { run } = await fleet.submit(await fleet.agent())
  const held = await fleet.hold(run.id, node)
  await fleet.die(node)
  const other = await fleet.node()
  await fleet.tick()
  const again = await fleet.hold(run.id, other)
  const writer = new EventWriter(fleet.context, new AbortController().signal)
  const late = await writer.write(run.id, held.generation, [{ type: 'agent.log', data: { text: 'late' } }])
  expect(late.fenced).toBe(true)
  expect(await fleet.finish(held)).toBe('fenced')
  expect(await fleet.beat(node, { held: [held] })).toEqual({ alive: false })
  expect(await fleet.inGate(run.id)).toMatchObject({ state: 'started', nodeId: other })
  await writer.write(run.id, again.generation, [{ type: 'agent.log', data: { text: 'mine' } }])
  expect(await fleet.finish(again, SUCCEEDED)).toBe('finished')
  expect(await fleet.events(run.id)).toEqual([
    'run.queued',
    'run.started',
    'run.requeued',
    'run.started',
    'agent.log',
    'run.finished',
  ])
})

test('an outage of Redis delays nothing that Postgres decides: runs end, and their slots are freed once it is back', async () => {
  const agent = await fleet.agent({ limits: { concurrency: 1 } })
  const first = await fleet.hold((await fleet.submit(agent)).run.id, node)
  const second = await fleet.submit(agent)
  let away = true
  fleet.staging.always((step) => (away && step.startsWith('gate.') ? { lose: 'call' } : null))
  const finished = fleet.finish(first)
  await until(async () => (await statusOf(first.run_id)) === 'succeeded')
  const third = await fleet.submit(agent)
  away = false
  expect(await finished).toBe('finished')
  await fleet.tick()
  await fleet.finish(await fleet.hold(second.run.id, node))
  await fleet.finish(await fleet.hold(third.run.id, node))
})

test('what a ghost leaves behind on a rebuilt gate is freed: a start of an earlier epoch starts nothing', async () => {
  const { run } = await fleet.submit(await fleet.agent())
  const job = fleet.job(run.id)
  await fleet.rebuild()
  expect(await startSlot(fleet.context, job, node)).toBe('dropped')
  await fleet.finish(await fleet.hold(run.id, node))
})

test('a load whose answer is lost still brings back what waits', async () => {
  const { run } = await fleet.submit(await fleet.agent())
  fleet.staging.at('gate.load', { lose: 'answer' })
  expect(await fleet.rebuild()).toBe('unavailable')
  expect((await fleet.inGate(run.id)).state).toBe('reserved')
})

test('a gate that does not take a page of the backlog at once is asked again', async () => {
  const { run } = await fleet.submit(await fleet.agent())
  fleet.staging.at('gate.offer', { lose: 'call' })
  expect(await fleet.rebuild()).toBe('loaded')
  expect((await fleet.inGate(run.id)).state).toBe('reserved')
})

test('the duties of a damaged gate go on once it is loaded, however long its backlog is', async () => {
  const offering = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  fleet.staging.at('gate.sweep', { fault: true })
  await fleet.ticker.sweep().catch(() => undefined)
  await fleet.database.pool.query(`UPDATE fleet SET raised_at = '-infinity'`)
  fleet.staging.at('backlog_page', {
    before: () => {
      reached.resolve()
      return offering.promise
    },
  })
  await fleet.tick()
  await reached.promise
  const before = fleet.ticker.freshness.get('slots')
  await fleet.tick()
  expect(fleet.ticker.freshness.get('slots')).not.toBe(before)
  offering.resolve()
})
