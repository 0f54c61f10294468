import type { RunJob } from '@muster/contracts'
import { endAttempt, NO_USAGE } from '@muster/core'
import { type ClaimedRun, finishRuns, patchAgent } from '@muster/store'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { applyConfiguration, cancelRun, checkInvariants, EventWriter, requeueTask, startSlot } from '../src/index.ts'
import { FAILED, heldRun, openStagedFleet, type StagedFleet, SUCCEEDED } from './staged-fleet.ts'

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

const cancel = (runId: string) => cancelRun(fleet.context, runId, { code: 'cancelled', reason: 'no more' })
const statusOf = async (runId: string) => (await fleet.run(runId)).status
const stateOf = async (runId: string) => (await fleet.inGate(runId)).state

describe('a crash before or after a commit', () => {
  test('accept: an acceptance whose answer was lost is found by its second try, and offered', async () => {
    fleet.staging.at('accept_commands', { lose: 'answer' })
    const { run } = await fleet.submit(await fleet.agent())
    expect(await stateOf(run.id)).toBe('reserved')
    await cancel(run.id)
  })

  test('accept: a run whose offer was lost is offered by the next tick', async () => {
    fleet.staging.at('gate.offer', { lose: 'call' })
    const { run } = await fleet.submit(await fleet.agent())
    expect(await stateOf(run.id)).toBe('unknown')
    await fleet.tick()
    expect(await stateOf(run.id)).toBe('reserved')
    await cancel(run.id)
  })

  test('admit: a run whose job was lost starts once its reservation has run out', async () => {
    const { run } = await fleet.submit(await fleet.agent())
    fleet.job(run.id)
    await fleet.advance(3100)
    await fleet.tick()
    await fleet.finish(await fleet.hold(run.id, node))
    expect(await statusOf(run.id)).toBe('succeeded')
  })

  test('start: a slot whose worker died before its claim is burnt and freed, and the late claim is refused', async () => {
    const { run } = await fleet.submit(await fleet.agent())
    const job = fleet.job(run.id)
    await startSlot(fleet.context, job, node)
    await fleet.die(node)
    const other = await fleet.node()
    await fleet.tick()
    expect((await fleet.run(run.id)).admission).toBe(job.admission)
    const held = await fleet.hold(run.id, other)
    expect(held.admission).toBeGreaterThan(job.admission)
    expect((await fleet.holder.claim(job, other)).verdict).toBe('refused')
    expect(await stateOf(run.id)).toBe('started')
    await fleet.finish(held)
  })

  test('start: an answer that was lost is asked for again, and the same node wins', async () => {
    fleet.staging.at('gate.start', { lose: 'answer' })
    const { run } = await fleet.submit(await fleet.agent())
    await fleet.finish(await fleet.hold(run.id, node))
    expect(await statusOf(run.id)).toBe('succeeded')
  })

  test('claim: an answer that was lost is asked for again, and the run is held once', async () => {
    fleet.staging.at('claim_runs', { lose: 'answer' })
    const { run } = await fleet.submit(await fleet.agent())
    const held = await fleet.hold(run.id, node)
    expect(held).toMatchObject({ generation: 1, attempt_number: 1 })
    await fleet.finish(held)
    expect(await fleet.events(run.id)).toEqual(['run.queued', 'run.started', 'run.finished'])
  })

  test('events: an append whose answer was lost is repeated without doubles', async () => {
    const { run } = await fleet.submit(await fleet.agent())
    const held = await fleet.hold(run.id, node)
    const writer = new EventWriter(fleet.context, new AbortController().signal)
    fleet.staging.at('append_events', { lose: 'answer' })
    fleet.staging.at('append_events', { lose: 'call' })
    await writer.write(run.id, held.generation, [{ type: 'agent.log', data: { text: 'once' } }])
    await fleet.finish(held)
    expect(await fleet.events(run.id)).toEqual(['run.queued', 'run.started', 'agent.log', 'run.finished'])
  })

  test('finish: an end whose answer was lost frees the slot, and the next run of the session starts', async () => {
    const agent = await fleet.agent()
    const first = await fleet.submit(agent, { session_key: 's' })
    const second = await fleet.submit(agent, { session_key: 's' })
    const held = await fleet.hold(first.run.id, node)
    fleet.staging.at('end_runs', { lose: 'answer' })
    await fleet.finish(held)
    expect(await stateOf(first.run.id)).toBe('unknown')
    await fleet.tick()
    await fleet.finish(await fleet.hold(second.run.id, node))
    expect(await statusOf(second.run.id)).toBe('succeeded')
  })

  test('release: one that was lost is sent again; one that never came is made up for by the reconciler', async () => {
    const agent = await fleet.agent({ limits: { concurrency: 1 } })
    const [first, second, third] = [await fleet.submit(agent), await fleet.submit(agent), await fleet.submit(agent)]
    fleet.staging.at('gate.release', { lose: 'call' })
    fleet.staging.at('gate.release', { lose: 'answer' })
    await fleet.finish(await fleet.hold(first.run.id, node))
    // what was admitted has its job, though the answer was lost
    const held = await fleet.hold(second.run.id, node)
    const end = endAttempt(heldRun(held), SUCCEEDED)
    await finishRuns(fleet.database.pool, [
      { runId: held.run_id, sessionId: held.session_id, generation: held.generation, end, usage: NO_USAGE, limits: {} },
    ])
    await fleet.advance(6000)
    await fleet.beat(node)
    await fleet.tick()
    await fleet.finish(await fleet.hold(third.run.id, node))
  })

  test('release: one that meets a cold gate is repeated until the gate is warm', async () => {
    const { run } = await fleet.submit(await fleet.agent())
    const held = await fleet.hold(run.id, node)
    fleet.staging.at('gate.release', { before: () => fleet.redis.command('FLUSHALL') })
    fleet.staging.at('gate.release', { before: () => fleet.rebuild() })
    expect(await fleet.finish(held)).toBe('finished')
    expect(await stateOf(run.id)).toBe('unknown')
  })
})

describe('a place that a run leaves', () => {
  /** Two runs of an agent that may have one at a time: the first is held, the second waits. */
  async function pair() {
    const agent = await fleet.agent({ limits: { concurrency: 1 } })
    const [first, second] = [await fleet.submit(agent), await fleet.submit(agent)]
    return { held: await fleet.hold(first.run.id, node), waiting: second.run.id }
  }

  async function nextAfter(held: ClaimedRun): Promise<RunJob> {
    const next = await fleet.goOn(held, node)
    if (next === null) throw new Error('the place was given to nobody')
    return next
  }

  test('goes on to the run that waits, started on its node and without a job', async () => {
    const { held, waiting } = await pair()
    const next = await nextAfter(held)
    expect(next.run_id).toBe(waiting)
    expect(fleet.jobs).toEqual([])
    expect(await fleet.inGate(waiting)).toMatchObject({ state: 'started', nodeId: node, admission: next.admission })
    const verdict = await fleet.holder.claim(next, node)
    if (verdict.verdict !== 'claimed') throw new Error(`the claim was ${verdict.verdict}`)
    await fleet.finish(verdict.run)
    expect(await statusOf(waiting)).toBe('succeeded')
  })

  test('goes on to nothing where nothing waits', async () => {
    const { run } = await fleet.submit(await fleet.agent())
    expect(await fleet.goOn(await fleet.hold(run.id, node), node)).toBeNull()
  })

  test('whose answer was lost, or whose node died before the claim, is freed, and its run starts elsewhere', async () => {
    const { held, waiting } = await pair()
    const next = await nextAfter(held)
    await fleet.die(node)
    const other = await fleet.node()
    await fleet.tick()
    const again = await fleet.hold(waiting, other)
    expect(again.admission).toBeGreaterThan(next.admission)
    expect((await fleet.holder.claim(next, node)).verdict).toBe('node_dead')
    await fleet.finish(again)
  })

  test('is given back when the run was cancelled meanwhile: the claim is refused and the slot free', async () => {
    const { held, waiting } = await pair()
    const next = await nextAfter(held)
    await cancel(waiting)
    expect((await fleet.holder.claim(next, node)).verdict).toBe('refused')
    expect(await stateOf(waiting)).toBe('unknown')
  })
})

describe('a cancel', () => {
  test.for(['scheduled', 'behind its session', 'parked', 'reserved', 'claiming', 'waiting for its next try'] as const)(
    'ends a run that is %s, frees its place and lets nothing start it any more',
    async (where) => {
      const agent = await fleet.agent({ limits: { concurrency: 1 } })
      const session = where === 'behind its session' ? { session_key: 's' } : {}
      const first = where === 'behind its session' || where === 'parked' ? await fleet.submit(agent, session) : null
      const retry = { max_attempts: 2, delay_ms: 60_000 }
      const { run, task } = await fleet.submit(agent, {
        ...session,
        ...(where === 'scheduled' ? { delay_ms: 60_000 } : {}),
        policy: { retry },
      })
      const job = where === 'reserved' || where === 'claiming' ? fleet.job(run.id) : null
      if (where === 'claiming' && job !== null) await startSlot(fleet.context, job, node)
      if (where === 'waiting for its next try') await fleet.finish(await fleet.hold(run.id, node), FAILED)
      expect(await cancel(run.id)).toBe('cancelled')
      if (job !== null) {
        expect(await startSlot(fleet.context, job, node)).toBe(where === 'claiming' ? 'started' : 'dropped')
        expect((await fleet.holder.claim(job, node)).verdict).toBe('refused')
      }
      expect(await stateOf(run.id)).toBe('unknown')
      expect(await fleet.run(run.id)).toMatchObject({ status: 'cancelled', failure: { code: 'cancelled' } })
      const { rows } = await fleet.database.pool.query('SELECT status FROM tasks WHERE id = $1', [task.id])
      expect(rows).toEqual([{ status: 'cancelled' }])
      expect(await cancel(run.id)).toBe('ended')
      if (first !== null) await fleet.finish(await fleet.hold(first.run.id, node))
      await fleet.tick()
      expect(fleet.jobs).toEqual([])
    },
  )

  test('before the claim commits refuses it; after it is asked of the worker, whose end then counts as cancelled', async () => {
    const agent = await fleet.agent()
    const early = await fleet.submit(agent)
    const job = fleet.job(early.run.id)
    await startSlot(fleet.context, job, node)
    fleet.staging.at('claim_runs', { before: () => cancel(early.run.id) })
    expect((await fleet.holder.claim(job, node)).verdict).toBe('refused')
    expect(await stateOf(early.run.id)).toBe('unknown')

    const late = await fleet.submit(agent)
    let answer = ''
    fleet.staging.at('claim_runs', {
      after: async () => {
        answer = await cancel(late.run.id)
      },
    })
    const held = await fleet.hold(late.run.id, node)
    expect(answer).toBe('requested')
    expect(await fleet.beat(node, { held: [held] })).toMatchObject({
      cancel: [{ runId: late.run.id, reason: 'no more' }],
    })
    await fleet.finish(held)
    expect(await statusOf(late.run.id)).toBe('cancelled')
  })

  test('and a finish: the first to commit wins', async () => {
    const agent = await fleet.agent()
    const one = await fleet.hold((await fleet.submit(agent)).run.id, node)
    fleet.staging.at('end_runs', { before: () => cancel(one.run_id) })
    await fleet.finish(one)
    expect(await statusOf(one.run_id)).toBe('cancelled')

    const other = await fleet.hold((await fleet.submit(agent)).run.id, node)
    fleet.staging.at('end_runs', { after: async () => expect(await cancel(other.run_id)).toBe('ended') })
    await fleet.finish(other)
    expect(await statusOf(other.run_id)).toBe('succeeded')
  })

  test('of a run that is then lost, fails or is handed back ends it, and it is never queued again', async () => {
    const agent = await fleet.agent()
    const lost = await fleet.hold((await fleet.submit(agent)).run.id, node)
    const failing = await fleet.hold((await fleet.submit(agent)).run.id, node)
    const back = await fleet.hold((await fleet.submit(agent)).run.id, node)
    for (const run of [lost, failing, back]) expect(await cancel(run.run_id)).toBe('requested')
    await fleet.finish(failing, FAILED)
    await fleet.finish(back, { kind: 'handed_back', progressed: false })
    await fleet.die(node)
    await fleet.tick()
    for (const run of [lost, failing, back]) expect(await statusOf(run.run_id)).toBe('cancelled')
  })

  test('whose withdraw is lost lets the job be taken in vain and frees its slot', async () => {
    const { run } = await fleet.submit(await fleet.agent())
    fleet.staging.at('gate.withdraw', { lose: 'call' })
    await cancel(run.id)
    const job = fleet.job(run.id)
    expect(await startSlot(fleet.context, job, node)).toBe('started')
    expect((await fleet.holder.claim(job, node)).verdict).toBe('refused')
    expect(await stateOf(run.id)).toBe('unknown')
  })
})

describe('a try that fails', () => {
  test('waits for its exponential delay in Postgres and in the gate, and then starts', async () => {
    const policy = { retry: { max_attempts: 3, delay_ms: 1000, backoff: 'exponential' as const } }
    const { run } = await fleet.submit(await fleet.agent(), { policy })
    for (const waitMs of [1000, 2000]) {
      await fleet.finish(await fleet.hold(run.id, node), FAILED)
      expect(await stateOf(run.id)).toBe('due')
      const { rows } = await fleet.database.pool.query(
        `SELECT extract(epoch FROM r.not_before - a.ended_at)::float8 * 1000 AS wait_ms FROM runs r JOIN attempts a ON a.run_id = r.id
          WHERE r.id = $1 ORDER BY a.number DESC LIMIT 1`,
        [run.id],
      )
      expect(rows).toEqual([{ wait_ms: waitMs }])
      await fleet.tick()
      expect(await stateOf(run.id)).toBe('due')
      await fleet.advance(waitMs + 100)
      await fleet.beat(node)
      await fleet.tick()
    }
    await fleet.finish(await fleet.hold(run.id, node), FAILED)
    expect(await fleet.run(run.id)).toMatchObject({ status: 'failed', attempt_count: 3 })
  })

  test('for the last time makes a dead letter, which two requeues at once give one new run', async () => {
    const { run, task } = await fleet.submit(await fleet.agent(), { policy: { retry: { max_attempts: 1 } } })
    await fleet.finish(await fleet.hold(run.id, node), FAILED)
    fleet.staging.at('requeue_task', { lose: 'answer' })
    const requeues = await Promise.allSettled([
      requeueTask(fleet.context, task.id),
      requeueTask(fleet.context, task.id),
    ])
    expect(requeues.filter((each) => each.status === 'fulfilled')).toHaveLength(1)
    const { rows } = await fleet.database.pool.query(`SELECT id FROM runs WHERE task_id = $1 AND status = 'queued'`, [
      task.id,
    ])
    expect(rows).toHaveLength(1)
    await fleet.tick()
    await fleet.finish(await fleet.hold(rows[0].id, node))
  })
})

describe('an expiry', () => {
  const expire = (runId: string) =>
    fleet.database.pool.query(`UPDATE runs SET expires_at = now() - interval '1 second' WHERE id = $1`, [runId])

  test('before the claim commits refuses it, and frees slot and session', async () => {
    const agent = await fleet.agent()
    const first = await fleet.submit(agent, { ttl_ms: 60_000, session_key: 's' })
    const second = await fleet.submit(agent, { session_key: 's' })
    const job = fleet.job(first.run.id)
    await startSlot(fleet.context, job, node)
    await expire(first.run.id)
    fleet.staging.at('claim_runs', { before: () => fleet.tick() })
    expect((await fleet.holder.claim(job, node)).verdict).toBe('refused')
    expect(await fleet.run(first.run.id)).toMatchObject({ status: 'cancelled', failure: { code: 'expired' } })
    await fleet.finish(await fleet.hold(second.run.id, node))
  })

  test('after the claim changes nothing, not even for a later try', async () => {
    const { run } = await fleet.submit(await fleet.agent(), { ttl_ms: 60_000 })
    const held = await fleet.hold(run.id, node)
    await expire(run.id)
    await fleet.tick()
    expect(await statusOf(run.id)).toBe('running')
    await fleet.finish(held, FAILED)
    await fleet.tick()
    await fleet.finish(await fleet.hold(run.id, node))
    expect(await statusOf(run.id)).toBe('succeeded')
  })
})

test('a run past its time limit and its grace is taken from a node that still names it', async () => {
  const { run } = await fleet.submit(await fleet.agent(), { timeout_ms: 1000 })
  const held = await fleet.hold(run.id, node)
  await fleet.advance(32_000)
  await fleet.beat(node, { held: [held] })
  await fleet.tick()
  expect(await statusOf(run.id)).toBe('queued')
  expect(await fleet.beat(node, { held: [held] })).toMatchObject({
    lost: [{ runId: run.id, generation: held.generation }],
  })
  const again = await fleet.hold(run.id, node)
  expect(await fleet.finish(held)).toBe('fenced')
  expect(await stateOf(run.id)).toBe('started')
  await fleet.finish(again)
})

test('a paused agent sends a reserved run back to its head, and resuming starts it', async () => {
  const agent = await fleet.agent()
  const { run } = await fleet.submit(agent)
  const pauseTo = async (paused: boolean) => {
    const patched = await patchAgent(fleet.database, fleet.workspace.id, agent.id, { paused })
    expect(await applyConfiguration(fleet.context, patched?.configuration ?? [])).toBe(true)
  }
  await pauseTo(true)
  expect(await startSlot(fleet.context, fleet.job(run.id), node)).toBe('dropped')
  expect(await stateOf(run.id)).toBe('parked')
  await pauseTo(false)
  await fleet.finish(await fleet.hold(run.id, node))
})
