import { RUN_STATUSES, TASK_STATUSES } from '@muster/contracts'
import { newId, RUN_LIFECYCLE, TASK_LIFECYCLE, taskStatusOf } from '@muster/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  ageNodes,
  appendEvents,
  auditStore,
  beatNode,
  burnAdmission,
  cancelRun,
  claimRuns,
  expireRuns,
  makeDue,
  raiseEpoch,
  releaseSession,
  requeueTask,
  takeLost,
} from '../src/index.ts'
import { failed, openRoad, type Road, succeeded } from './road-fixture.ts'

let road: Road
beforeAll(async () => {
  road = await openRoad()
})
afterAll(() => road.close())

const statusOf = (runId: string) =>
  road.one<{ status: string; generation: number; last_seq: number }>(
    'SELECT status, generation, last_seq FROM runs WHERE id = $1',
    runId,
  )
const taskOf = async (taskId: string) =>
  (await road.one<{ status: string }>('SELECT status FROM tasks WHERE id = $1', taskId)).status

describe('the lifecycles', () => {
  test('Postgres allows exactly the pairs that core allows', async () => {
    const { rows } = await road.database.pool.query('SELECT noun, from_status, to_status FROM legal_transitions')
    const inStore = rows.map((row) => `${row.noun} ${row.from_status} ${row.to_status}`).sort()
    const inCore = [
      ...RUN_STATUSES.flatMap((old) => RUN_LIFECYCLE[old].map((next) => `run ${old} ${next}`)),
      ...TASK_STATUSES.flatMap((old) => TASK_LIFECYCLE[old].map((next) => `task ${old} ${next}`)),
    ].sort()
    expect(inStore).toEqual(inCore)
  })

  test('Postgres and core derive the same task status from a run', async () => {
    for (const status of RUN_STATUSES)
      for (const scheduled of [true, false]) {
        const { derived } = await road.one<{ derived: string }>(
          'SELECT task_status_of($1, $2) AS derived',
          status,
          scheduled,
        )
        expect(derived).toBe(taskStatusOf({ status, scheduled }))
      }
  })

  test('a write outside the lifecycle, a falling generation and a move without a raised one are refused', async () => {
    const { run_id } = await road.acceptOne()
    const run = await road.held(await road.node(), run_id)
    const write = (set: string) => road.database.pool.query(`UPDATE runs SET ${set} WHERE id = $1`, [run_id])
    await expect(write(`generation = ${run.generation - 1}`)).rejects.toMatchObject({ code: 'MU001' })
    await expect(write(`status = 'succeeded'`)).rejects.toMatchObject({ code: 'MU003' })
    await road.end(run, succeeded)
    await expect(write(`status = 'running', generation = generation + 1`)).rejects.toMatchObject({ code: 'MU002' })
  })
})

describe('a run', () => {
  test('goes from accepted to completed with events 1, 2, 3 ... and its attempt, snapshots and output', async () => {
    const verdict = await road.acceptOne({ message: 'go' })
    expect(verdict).toMatchObject({ outcome: 'accepted', offerable: true, session_id: null })
    const node = await road.node()
    const run = await road.held(node, verdict.run_id)
    expect(run).toMatchObject({ generation: 1, attempt_number: 1, message: 'go', previous: null, state: null, seq: 2 })
    const batch = {
      runId: run.run_id,
      generation: 1,
      flush: 1,
      events: [
        { type: 'agent.delta', data: { text: 'a' } },
        { type: 'agent.snapshot', data: {}, state: { step: 1 } },
        { type: 'agent.snapshot', data: {}, state: null },
      ],
    } as const
    const [first] = await appendEvents(road.database.pool, [batch])
    expect(first).toMatchObject({ firstSeq: 3, attempt: 1 })
    const [again] = await appendEvents(road.database.pool, [batch])
    expect(again).toEqual(first)
    const { moved, events } = await road.end(run, succeeded)
    expect(moved).toEqual([{ runId: run.run_id, status: 'succeeded', generation: 2, admission: run.admission }])
    expect(events).toMatchObject([{ seq: 6, type: 'run.finished', data: { status: 'succeeded', output: 'done' } }])
    const { rows } = await road.database.pool.query('SELECT seq, type FROM events WHERE run_id = $1 ORDER BY seq', [
      run.run_id,
    ])
    expect(rows.map((row) => `${row.seq} ${row.type}`)).toEqual([
      '1 run.queued',
      '2 run.started',
      '3 agent.delta',
      '4 agent.snapshot',
      '5 agent.snapshot',
      '6 run.finished',
    ])
    const snapshots = await road.database.pool.query(
      'SELECT seq, status FROM snapshots WHERE run_id = $1 ORDER BY seq',
      [run.run_id],
    )
    expect(snapshots.rows.map((row) => `${row.seq} ${row.status}`)).toEqual([
      '1 queued',
      '2 running',
      '3 running',
      '4 running',
      '5 succeeded',
    ])
    expect(await taskOf(verdict.task_id)).toBe('completed')
    expect(await road.one('SELECT status, exit_code FROM attempts WHERE run_id = $1', run.run_id)).toEqual({
      status: 'succeeded',
      exit_code: 0,
    })
  })

  test('that fails is tried again and ends a dead letter when its tries are used up', async () => {
    const { run_id, task_id } = await road.acceptOne({ max_attempts: 2 })
    const node = await road.node()
    const again = await road.end(await road.held(node, run_id), failed)
    expect(again.offers.map((offer) => offer.runId)).toEqual([run_id])
    expect(await taskOf(task_id)).toBe('pending')
    const last = await road.end(await road.held(node, run_id), failed)
    expect(last.moved[0]?.status).toBe('failed')
    expect(await taskOf(task_id)).toBe('dead_letter')
    const requeued = await requeueTask(road.database.pool, task_id, newId('run'))
    expect(requeued).toMatchObject({ outcome: 'requeued', status: 'pending' })
    expect(await requeueTask(road.database.pool, task_id, newId('run'))).toMatchObject({
      outcome: 'refused',
      status: 'pending',
    })
  })

  test('goes back to Postgres with its saved state for the next attempt', async () => {
    const { run_id } = await road.acceptOne()
    const node = await road.node()
    const run = await road.held(node, run_id)
    const events = [{ type: 'agent.snapshot', data: {}, state: { n: 7 } }] as const
    await appendEvents(road.database.pool, [{ runId: run_id, generation: run.generation, flush: 1, events }])
    await road.end(run, { kind: 'handed_back', progressed: true }, { pids: 'enforced' })
    const next = await road.held(node, run_id)
    expect(next).toMatchObject({ state: { n: 7 }, attempt_number: 2, hand_backs: 1, attempt_count: 0 })
    expect(next.previous).toMatchObject({ run_id, generation: run.generation, status: 'handed_back' })
  })
})

describe('a claim', () => {
  test('is refused with an old epoch, an admission that is not newer, a dead node, a run not due, or a cancel', async () => {
    const node = await road.node()
    const { run_id } = await road.acceptOne()
    expect((await road.claim(node, run_id, 5)).verdict).toBe('refused')
    expect((await road.claim(newId('node'), run_id)).verdict).toBe('node_dead')
    const later = await road.acceptOne({ delay_ms: 60_000 })
    expect((await road.claim(node, later.run_id)).verdict).toBe('refused')
    await burnAdmission(road.database.pool, run_id, road.admission() + 100)
    expect((await road.claim(node, run_id)).verdict).toBe('refused')
    const cancelled = await road.acceptOne()
    await cancelRun(road.database.pool, cancelled.run_id, 'cancelled', 'no more')
    expect((await road.claim(node, cancelled.run_id)).verdict).toBe('refused')
  })

  test('repeated by the same node is its own, by another node taken', async () => {
    const [one, other] = [await road.node(), await road.node()]
    const { run_id } = await road.acceptOne()
    const admission = road.admission() + 1000
    expect((await road.claim(one, run_id, admission)).verdict).toBe('claimed')
    expect((await road.claim(one, run_id, admission)).verdict).toBe('mine')
    expect((await road.claim(other, run_id, admission)).verdict).toBe('taken')
    expect((await road.claim(other, run_id, admission + 1)).verdict).toBe('refused')
    expect((await statusOf(run_id)).generation).toBe(1)
  })

  test('that is refused waits for nobody who holds its run, and so keeps nothing of its batch from starting', async () => {
    const node = await road.node()
    const [ready, later] = await road.accept({}, { delay_ms: 60_000 })
    const [holder, claimer] = [await road.database.pool.connect(), await road.database.pool.connect()]
    try {
      await holder.query('BEGIN')
      await holder.query('SELECT FROM runs WHERE id = $1 FOR UPDATE', [later?.run_id])
      await claimer.query(`SET lock_timeout = '1s'`)
      const claims = [ready, later].map((each) => ({ runId: each?.run_id ?? '', admission: road.admission() + 2000 }))
      const verdicts = await claimRuns(claimer, node, claims)
      expect(verdicts.map(({ verdict }) => verdict)).toEqual(['claimed', 'refused'])
    } finally {
      holder.release(true)
      claimer.release(true)
    }
  })

  test('of an earlier generation can neither write events nor finish', async () => {
    const node = await road.node()
    const { run_id } = await road.acceptOne()
    const old = await road.held(node, run_id)
    await road.end(old, { kind: 'handed_back', progressed: false })
    const current = await road.held(node, run_id)
    const events = [{ type: 'agent.log', data: { text: 'late' } }] as const
    expect(
      await appendEvents(road.database.pool, [{ runId: run_id, generation: old.generation, flush: 1, events }]),
    ).toEqual([null])
    expect((await road.end(old, succeeded)).moved).toEqual([])
    expect((await road.end(current, succeeded)).moved).toHaveLength(1)
  })
})

describe('a session', () => {
  test('offers one run at a time, in order of acceptance, and names the next at every kind of end', async () => {
    const key = 'orders'
    const verdicts = await road.accept(
      { session_key: key },
      { session_key: key },
      { session_key: key },
      { session_key: key },
    )
    expect(verdicts.map((verdict) => verdict.offerable)).toEqual([true, false, false, false])
    expect(new Set(verdicts.map((verdict) => verdict.session_id)).size).toBe(1)
    const [first, second, third, fourth] = verdicts.map((verdict) => verdict.run_id)
    const node = await road.node()
    expect((await road.claim(node, second ?? '')).verdict).toBe('refused')
    const ended = await road.end(await road.held(node, first ?? ''), succeeded)
    expect(ended.offers.map((offer) => offer.runId)).toEqual([second])
    await cancelRun(road.database.pool, third ?? '', 'cancelled', 'skip')
    const cancelled = await cancelRun(road.database.pool, second ?? '', 'cancelled', 'skip')
    expect(cancelled).toMatchObject({ outcome: 'cancelled' })
    expect(cancelled.offers.map((offer) => offer.runId)).toEqual([fourth])
  })

  test('is kept by a retrying run and freed by release, whatever its state', async () => {
    const [one, two] = await road.accept({ session_key: 'kept' }, { session_key: 'kept' })
    const node = await road.node()
    const back = await road.end(await road.held(node, one?.run_id ?? ''), failed)
    expect(back.offers.map((offer) => offer.runId)).toEqual([one?.run_id])
    const held = await road.held(node, one?.run_id ?? '')
    const released = await releaseSession(road.database.pool, one?.session_id ?? '', 'operator')
    expect(released.moved).toMatchObject([{ status: 'cancelled' }])
    expect(released.offers.map((offer) => offer.runId)).toEqual([two?.run_id])
    expect((await road.end(held, succeeded)).moved).toEqual([])
    const { failure } = await road.one<{ failure: { code: string } }>(
      'SELECT failure FROM runs WHERE id = $1',
      one?.run_id,
    )
    expect(failure.code).toBe('session_released')
  })

  test('lets a command that is not due join when it becomes due, behind what came before', async () => {
    const [later, now] = await road.accept(
      { session_key: 'due', delay_ms: 60_000 },
      { session_key: 'due', delay_ms: 3_600_000 },
    )
    expect(later?.offerable || now?.offerable).toBe(false)
    await road.database.pool.query(`UPDATE runs SET not_before = now() - interval '1 second' WHERE id = $1`, [
      later?.run_id,
    ])
    const third = await road.acceptOne({ session_key: 'due' })
    expect(third.offerable).toBe(true)
    expect((await makeDue(road.database.pool, 100)).offers).toEqual([])
    const ended = await road.end(await road.held(await road.node(), third.run_id), succeeded)
    expect(ended.offers.map((offer) => offer.runId)).toEqual([later?.run_id])
    expect(await taskOf(later?.task_id ?? '')).toBe('pending')
    expect(await taskOf(now?.task_id ?? '')).toBe('scheduled')
  })
})

describe('one idempotency key', () => {
  test('makes one task however often and from however many connections it comes', async () => {
    const key = { idempotency_key: 'k:*{}\n__proto__💥', session_key: 'idem' }
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => road.acceptOne(key)))
    expect(verdicts.filter((verdict) => verdict.outcome === 'accepted')).toHaveLength(1)
    expect(verdicts.filter((verdict) => verdict.outcome === 'deduplicated')).toHaveLength(49)
    expect(new Set(verdicts.map((verdict) => verdict.task_id)).size).toBe(1)
    const other = await road.acceptOne({ ...key, fingerprint: 'cd'.repeat(32), session_key: 'never made' })
    expect(other.outcome).toBe('conflict')
    expect(await road.one('SELECT count(*)::integer AS n FROM sessions WHERE key = $1', 'never made')).toEqual({ n: 0 })
  })

  test('sent again with the same ids is recognized as the same acceptance', async () => {
    const items = [road.item({ session_key: 'twice' })]
    const { acceptCommands } = await import('../src/index.ts')
    const [first] = await acceptCommands(road.database.pool, items)
    const [second] = await acceptCommands(road.database.pool, items)
    expect(first?.outcome).toBe('accepted')
    expect(second).toMatchObject({
      outcome: 'repeated',
      task_id: first?.task_id,
      run_id: first?.run_id,
      session_id: first?.session_id,
    })
  })
})

describe('the duties', () => {
  test('a node that misses three ticks is dead, loses its runs to the head of their queue, and cannot come back', async () => {
    const [dying, living] = [await road.node(), await road.node()]
    const { run_id } = await road.acceptOne()
    const run = await road.held(dying, run_id)
    const beat = (nodeId: string, held: { runId: string; generation: number }[]) =>
      beatNode(road.database.pool, { nodeId, held, claiming: [], used: 1, phase: 'active' })
    const pair = { runId: run_id, generation: run.generation }
    for (let tick = 0; tick < 3; tick++) {
      await beat(living, [])
      await ageNodes(road.database.pool)
    }
    const taken = await takeLost(road.database.pool, 5, 100)
    expect(taken.moved.find((each) => each.runId === run_id)).toMatchObject({
      status: 'queued',
      admission: run.admission,
    })
    expect(taken.offers.find((offer) => offer.runId === run_id)).toMatchObject({ front: true })
    expect(await beat(dying, [pair])).toEqual({ alive: false })
    expect(await beat(living, [pair])).toMatchObject({ alive: true, lost: [pair] })
  })

  test('a run lost five times in a row ends worker_lost, and one with a cancel asked ends cancelled', async () => {
    const lose = async (runId: string) => {
      const node = await road.node()
      const verdict = await road.claim(node, runId)
      if (verdict.verdict !== 'claimed') return verdict.verdict
      await road.database.pool.query(`UPDATE nodes SET status = 'inactive' WHERE id = $1`, [node])
      await takeLost(road.database.pool, 5, 100)
      return (await statusOf(runId)).status
    }
    const { run_id } = await road.acceptOne()
    const ends: string[] = []
    for (let loss = 0; loss < 5; loss++) ends.push(await lose(run_id))
    expect(ends).toEqual(['queued', 'queued', 'queued', 'queued', 'failed'])

    const other = await road.acceptOne()
    const node = await road.node()
    await road.held(node, other.run_id)
    expect((await cancelRun(road.database.pool, other.run_id, 'cancelled', 'stop')).outcome).toBe('requested')
    await road.database.pool.query(`UPDATE nodes SET status = 'inactive' WHERE id = $1`, [node])
    await takeLost(road.database.pool, 5, 100)
    expect((await statusOf(other.run_id)).status).toBe('cancelled')
  })

  test('two beats in a row that do not name a run lose it, but only when its attempt is older than 3 s', async () => {
    const node = await road.node()
    const { run_id } = await road.acceptOne()
    await road.held(node, run_id)
    const silent = () =>
      beatNode(road.database.pool, { nodeId: node, held: [], claiming: [], used: 0, phase: 'active' })
    await silent()
    await silent()
    await takeLost(road.database.pool, 5, 100)
    expect((await statusOf(run_id)).status).toBe('running')
    await road.database.pool.query(`UPDATE runs SET attempt_started_at = now() - interval '4 seconds' WHERE id = $1`, [
      run_id,
    ])
    await takeLost(road.database.pool, 5, 100)
    expect((await statusOf(run_id)).status).toBe('queued')
  })

  test('a run that did not start in time ends cancelled with code expired', async () => {
    const { run_id, task_id } = await road.acceptOne({ ttl_ms: 1 })
    await road.database.pool.query(`UPDATE runs SET expires_at = now() - interval '1 second' WHERE id = $1`, [run_id])
    expect((await road.claim(await road.node(), run_id)).verdict).toBe('refused')
    await expireRuns(road.database.pool, 100)
    expect(await taskOf(task_id)).toBe('cancelled')
    expect(await road.one('SELECT failure FROM runs WHERE id = $1', run_id)).toMatchObject({
      failure: { code: 'expired' },
    })
  })

  test('the epoch is raised at most once in 3 s, and an older admission claims nothing any more', async () => {
    const { run_id } = await road.acceptOne()
    const admission = road.admission() + 10_000
    const raised = await raiseEpoch(road.database.pool)
    expect(raised).toBe(2)
    expect(await raiseEpoch(road.database.pool)).toBeNull()
    expect((await road.claim(await road.node(), run_id, admission)).verdict).toBe('refused')
  })

  test('nothing that these tests did leaves Postgres inconsistent', async () => {
    const dead = 'run_on_dead_node'
    expect((await auditStore(road.database.pool)).filter((finding) => finding.code !== dead)).toEqual([])
  })
})
