import type { RunEvent } from '@muster/contracts'
import { newId } from '@muster/core'
import { createAgent, deleteAgent } from '@muster/store'
import { openTransaction, until } from '@muster/testkit'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  cancelRun,
  checkInvariants,
  createAcceptor,
  EventWriter,
  releaseSession,
  requeueTask,
  startSlot,
} from '../src/index.ts'
import { FAILED, openStagedFleet, type StagedFleet, SUCCEEDED } from './staged-fleet.ts'

let fleet: StagedFleet
let node: string
beforeAll(async () => {
  fleet = await openStagedFleet()
})
afterAll(() => fleet.close())
beforeEach(async () => {
  node = await fleet.node()
})

const NUL = String.fromCharCode(0)
const deep = (levels: number): { [key: string]: unknown } => (levels === 0 ? {} : { in: deep(levels - 1) })

test('one unstorable command fails by itself, and those of its batch are accepted', async () => {
  const agent = await fleet.agent()
  await fleet.submit(agent)
  // two batches fly at once; those behind them gather
  const messages = ['one', 'two', 'three', `four${NUL}`, 'five']
  const answers = await Promise.allSettled(messages.map((message) => fleet.submit(agent, { message })))
  expect(answers.map((answer) => answer.status)).toEqual([
    'fulfilled',
    'fulfilled',
    'fulfilled',
    'rejected',
    'fulfilled',
  ])
})

test('what is committed together is offered together, without what was refused', async () => {
  const agent = await fleet.agent()
  const workspace = { id: agent.workspace_id, key: 'any' }
  const offered: string[][] = []
  const acceptor = createAcceptor({
    ...fleet.context,
    gate: {
      ...fleet.gate,
      offer: (offers) => {
        offered.push(offers.map((each) => each.runId))
        return fleet.gate.offer(offers)
      },
    },
  })
  const accept = (message: string) =>
    acceptor.accept({ workspace, command: { agent: agent.key, message }, idempotencyKey: null })
  await accept('the class is known from here on')
  await acceptor.settled()
  const answers = await Promise.allSettled(['one', 'two', `three${NUL}`].map(accept))
  const pair = await Promise.all(['four', 'five'].map(accept))
  await acceptor.settled()
  const runs = pair.map((answer) => (answer.outcome === 'accepted' ? answer.run.id : null))
  expect(offered.at(-1)).toEqual(runs)
  const accepted = answers.flatMap((answer) =>
    answer.status === 'fulfilled' && answer.value.outcome === 'accepted' ? [answer.value.run.id] : [],
  )
  expect(accepted.length).toBe(2)
  expect(offered.slice(1, -1).flat().toSorted()).toEqual(accepted.toSorted())
})

test('an accept whose first try is still under way when it is sent again is accepted once', async () => {
  const agent = await fleet.agent()
  await fleet.submit(agent)
  await fleet.database.pool.query(`
    CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(99); RETURN NEW; END';
    CREATE TRIGGER wait_here AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION wait_here()`)
  await using blocker = await openTransaction(fleet.test.url, 'SELECT pg_advisory_xact_lock(99)')
  fleet.staging.at('accept_commands', { lose: 'flight' })
  const submitted = fleet.submit(agent, { message: 'twice' })
  await until(async () => (await waitingFor('accept_commands')) === 2, { what: 'both tries to be under way' })
  await blocker.commit()
  await fleet.database.pool.query('DROP TRIGGER wait_here ON tasks')
  const { run, task } = await submitted
  expect((await fleet.run(run.id)).status).toBe('queued')
  expect((await fleet.database.pool.query('SELECT FROM runs WHERE task_id = $1', [task.id])).rowCount).toBe(1)
})

async function waitingFor(what: string): Promise<number> {
  const { rows } = await fleet.database.pool.query(
    `SELECT count(*)::integer AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%' AND datname = current_database()`,
    [what],
  )
  return rows[0].n
}

test('a command for an agent that was deleted and made anew under its key is accepted for the new one', async () => {
  const old = await fleet.agent()
  const { run } = await fleet.submit(old)
  await cancelRun(fleet.context, run.id, { code: 'cancelled', reason: 'x' })
  expect(await deleteAgent(fleet.database, fleet.workspace.id, old.key)).toBe('deleted')
  const { resource: anew } = await createAgent(fleet.database, fleet.workspace.id, {
    key: old.key,
    config: { runner: 'process', command: ['true'] },
  })
  expect((await fleet.submit(anew)).run.agent_id).toBe(anew.id)
})

test('every run that failed in one batch is back in the gate when its finish returns', async () => {
  const agent = await fleet.agent({ limits: { concurrency: 3 } })
  const held = await Promise.all([1, 2, 3].map(async () => fleet.hold((await fleet.submit(agent)).run.id, node)))
  await Promise.all(held.map((run) => fleet.finish(run, FAILED)))
  for (const run of held) expect((await fleet.inGate(run.run_id)).state).toBe('reserved')
})

test('one end that Postgres refuses makes its run failed, and the others of its batch are kept', async () => {
  const agent = await fleet.agent()
  const held = await Promise.all([1, 2, 3].map(async () => fleet.hold((await fleet.submit(agent)).run.id, node)))
  const outputs = ['fine', `un${NUL}fine`, 'fine']
  const ends = await Promise.allSettled(
    held.map((run, index) =>
      fleet.finish(run, {
        ...SUCCEEDED,
        kind: 'succeeded',
        output: outputs[index] ?? '',
        outputTruncated: false,
        exitCode: 0,
      }),
    ),
  )
  expect(ends.map((end) => end.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  const statuses = await Promise.all(held.map(async (run) => (await fleet.run(run.run_id)).status))
  expect(statuses).toEqual(['succeeded', 'failed', 'succeeded'])
})

test.for(['has to be repeated', 'is refused'] as const)(
  'an end for good is answered, shown live and followed by its session once, also where the requeue in its batch %s',
  async (how) => {
    const agent = await fleet.agent()
    const first = await fleet.submit(agent, { session_key: 's' })
    const next = await fleet.submit(agent, { session_key: 's' })
    const other = await fleet.submit(agent)
    const [good, bad] = [await fleet.hold(first.run.id, node), await fleet.hold(other.run.id, node)]
    const shown: RunEvent[][] = []
    const stop = fleet.gate.live.subscribe(first.run.id, (events) => shown.push([...events]))
    await until(() => (shown.length > 0 ? true : undefined), { what: 'the subscription to stand' })
    if (how === 'has to be repeated') fleet.staging.at('finish_runs', { lose: 'call' })
    const message = how === 'is refused' ? `un${NUL}fine` : 'fine'
    const ends = await Promise.all([
      fleet.finish(bad, { kind: 'failed', failure: { code: 'agent_exit', message, retryable: true }, exitCode: 1 }),
      fleet.finish(good),
    ])
    expect(ends).toEqual(['finished', 'finished'])
    expect((await fleet.inGate(next.run.id)).state).toBe('reserved')
    expect((await fleet.run(other.run.id)).status).toBe(how === 'is refused' ? 'failed' : 'queued')
    await until(() => (shown.flat().length > 0 ? true : undefined), { what: 'the end to be shown' })
    stop()
    expect(shown.flat().map((event) => event.type)).toEqual(['run.finished'])
  },
)

test('an output as deep as the agent protocol allows ends its run and frees its slot', async () => {
  const agent = await fleet.agent()
  const run = await fleet.hold((await fleet.submit(agent)).run.id, node)
  const output = JSON.parse(JSON.stringify(deep(32)))
  expect(await fleet.finish(run, { kind: 'succeeded', output, outputTruncated: false, exitCode: 0 })).toBe('finished')
  expect((await fleet.inGate(run.run_id)).state).toBe('unknown')
})

test('a run that cannot be read ends failed, and the claims of its batch go on', async () => {
  const agent = await fleet.agent()
  const ids = [await fleet.submit(agent), await fleet.submit(agent), await fleet.submit(agent)].map(({ run }) => run.id)
  await fleet.database.pool.query(`UPDATE runs SET policy = '{"from": "another release"}' WHERE id = $1`, [ids[1]])
  const jobs = ids.map((id) => fleet.job(id))
  for (const job of jobs) expect(await startSlot(fleet.context, job, node)).toBe('started')
  const claims = await Promise.allSettled(jobs.map((job) => fleet.holder.claim(job, node)))
  const verdicts = claims.map((claim) => (claim.status === 'fulfilled' ? claim.value.verdict : 'rejected'))
  expect([verdicts[0], verdicts[2]]).toEqual(['claimed', 'claimed'])
  expect(['claimed', 'mine']).not.toContain(verdicts[1])
  expect(await fleet.run(ids[1] ?? '')).toMatchObject({ status: 'failed', failure: { code: 'internal_error' } })
  expect((await fleet.inGate(ids[1] ?? '')).state).toBe('unknown')
})

test('events that Postgres refuses are refused by themselves, and those of other runs are written', async () => {
  const agent = await fleet.agent()
  const [one, other] = [
    await fleet.hold((await fleet.submit(agent)).run.id, node),
    await fleet.hold((await fleet.submit(agent)).run.id, node),
  ]
  const writer = new EventWriter(fleet.context, new AbortController().signal)
  const log = (text: string) => [{ type: 'agent.log', data: { text } } as const]
  const [bad, good] = await Promise.allSettled([
    writer.write(one.run_id, one.generation, log(NUL)),
    writer.write(other.run_id, other.generation, log('fine')),
  ])
  expect([bad.status, good.status]).toEqual(['rejected', 'fulfilled'])
  expect(await fleet.events(other.run_id)).toEqual(['run.queued', 'run.started', 'agent.log'])
})

test('a writer that writes again as soon as it was answered is answered again', async () => {
  const agent = await fleet.agent()
  const run = await fleet.hold((await fleet.submit(agent)).run.id, node)
  const writer = new EventWriter(fleet.context, new AbortController().signal)
  const event = { type: 'agent.log', data: { text: 'x' } } as const
  for (let n = 0; n < 3; n++) {
    const written = writer.write(run.run_id, run.generation, [event])
    await Promise.race([
      written,
      new Promise((_, reject) => setTimeout(() => reject(new Error('never answered')), 2000)),
    ])
  }
  // the continuation of a bare await comes before the writer knows that it is idle
  const chain = async () => {
    await writer.write(run.run_id, run.generation, [event])
    await writer.write(run.run_id, run.generation, [event])
  }
  await Promise.race([chain(), new Promise((_, reject) => setTimeout(() => reject(new Error('never answered')), 2000))])
})

test('events that Redis refuses to show hurt no run', async () => {
  const agent = await fleet.agent()
  const { run } = await fleet.submit(agent)
  fleet.staging.at('gate.publish', { fault: true })
  const held = await fleet.hold(run.id, node)
  expect(await fleet.finish(held)).toBe('finished')
  await expect(cancelRun(fleet.context, run.id, { code: 'cancelled', reason: 'x' })).resolves.toBe('ended')
})

test('a cancel that Postgres took is answered though the gate refuses what follows', async () => {
  const agent = await fleet.agent()
  const { run } = await fleet.submit(agent, { delay_ms: 60_000 })
  fleet.staging.at('gate.withdraw', { fault: true })
  expect(await cancelRun(fleet.context, run.id, { code: 'cancelled', reason: 'x' })).toBe('cancelled')
})

test('a requeue of a task that does not exist is refused and writes nothing', async () => {
  await expect(requeueTask(fleet.context, newId('task'))).rejects.toMatchObject({ code: 'task_not_found' })
  const { rows } = await fleet.database.pool.query(
    'SELECT run_id FROM events WHERE run_id NOT IN (SELECT id FROM runs)',
  )
  expect(rows).toEqual([])
})

test('what a session release makes room for is admitted with its job', async () => {
  const agent = await fleet.agent({ limits: { concurrency: 1 } })
  const first = await fleet.submit(agent, { session_key: 's' })
  const other = await fleet.submit(agent)
  await releaseSession(fleet.context, first.session?.id ?? '', 'operator')
  expect(await fleet.inGate(other.run.id)).toMatchObject({ state: 'reserved' })
  expect(fleet.job(other.run.id)).toMatchObject({ run_id: other.run.id })
})

test('the slot of a running run that a session release ended is free at once', async () => {
  const agent = await fleet.agent({ limits: { concurrency: 1 } })
  const first = await fleet.submit(agent, { session_key: 's' })
  const second = await fleet.submit(agent, { session_key: 's' })
  const held = await fleet.hold(first.run.id, node)
  await releaseSession(fleet.context, first.session?.id ?? '', 'operator')
  const next = await fleet.hold(second.run.id, node)
  expect(await fleet.finish(held)).toBe('fenced')
  expect((await fleet.inGate(second.run.id)).state).toBe('started')
  expect(await fleet.finish(next)).toBe('finished')
})

test('a run whose claim was refused for its dead node is offered again by the next tick, however old it is', async () => {
  const agent = await fleet.agent()
  const { run } = await fleet.submit(agent)
  await fleet.database.pool.query(`UPDATE runs SET offerable_at = now() - interval '1 day' WHERE id = $1`, [run.id])
  const job = fleet.job(run.id)
  expect(await startSlot(fleet.context, job, node)).toBe('started')
  await fleet.die(node)
  expect((await fleet.holder.claim(job, node)).verdict).toBe('node_dead')
  await fleet.node()
  fleet.staging.at('backlog_page', { lose: 'call' })
  await fleet.tick()
  expect((await fleet.inGate(run.id)).state).toBe('reserved')
})

test('a run that the gate let go before Postgres thought it due is offered again once it is', async () => {
  const agent = await fleet.agent()
  const { run } = await fleet.submit(agent, { delay_ms: 600 })
  await fleet.database.pool.query(`UPDATE runs SET offerable_at = now() - interval '1 day' WHERE id = $1`, [run.id])
  await fleet.gate.withdraw([run.id])
  await fleet.database.pool.query(`UPDATE runs SET not_before = now() - interval '1 millisecond' WHERE id = $1`, [
    run.id,
  ])
  fleet.staging.at('backlog_page', { lose: 'call' })
  await fleet.tick()
  expect((await fleet.inGate(run.id)).state).toBe('reserved')
})

test.for(['waits for a slot that it has', 'waits for its time'] as const)(
  'a gate that lost what it knows of a run that %s is rebuilt',
  async (where) => {
    const agent = await fleet.agent()
    const { run } = await fleet.submit(agent, where === 'waits for its time' ? { delay_ms: 5000 } : {})
    await fleet.redis.command('DEL', `{muster}:${(await fleet.gate.state()).epoch}:r:${run.id}`)
    for (let n = 0; n < 2; n++) {
      await fleet.advance(10_000)
      await fleet.tick()
      await fleet.node()
    }
    await until(async () => (await fleet.inGate(run.id)).state === 'reserved', { deadlineMs: 3000 })
  },
)

test.for(['gate.state', 'gate.audit'])(
  'books are not called balanced while the gate does not answer %s',
  async (step) => {
    fleet.staging.at(step, { lose: 'call' })
    await expect(checkInvariants(fleet.context)).rejects.toMatchObject({ code: 'unavailable' })
    expect((await checkInvariants(fleet.context)).violations).toEqual([])
  },
)

test('what is told of a command names an agent that is there, by its key, or none', async () => {
  const told: (string | null)[] = []
  const acceptor = createAcceptor({
    ...fleet.context,
    report: { accepted: ({ agentKey }) => void told.push(agentKey) },
  })
  const agent = await fleet.agent()
  for (const name of [agent.key, agent.id, 'ghost'])
    await acceptor
      .accept({ workspace: fleet.workspace, command: { agent: name, message: 'hello' }, idempotencyKey: null })
      .catch(() => undefined)
  await acceptor.settled()
  expect(told).toEqual([agent.key, agent.key, null])
})
