import { admissionOf } from '@muster/core'
import { expect, test } from 'vitest'
import { holdingOf, node, offerOf, one, place, run, startOne, warm } from './fleet.ts'
import { openGate } from './open-gate.ts'

const used = async (gate: Awaited<ReturnType<typeof openGate>>['gate']): Promise<number> => {
  const answer = await gate.counts()
  return answer.kind === 'warm' ? answer.pools.none.used : -1
}

test('an expired reservation is the head of its class again, and its old admission starts nothing', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 1 } })
  const first = one(warm(await gate.offer([offerOf(place('a'), 1), offerOf(place('a'), 2)])).admitted)
  clock.now += 2999
  expect(warm(await gate.sweep()).expired).toBe(0)
  clock.now += 1
  const swept = warm(await gate.sweep())
  expect(swept.expired).toBe(1)
  const again = one(swept.admitted)
  expect(again.runId).toBe(first.runId)
  expect(await startOne(gate, first.runId, first.admission, node('n'))).toBe('refused')
  expect(await startOne(gate, again.runId, again.admission, node('n'))).toBe('started')
})

test('a started slot does not expire', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 1 } })
  const given = one(warm(await gate.offer([offerOf(place('a'), 1)])).admitted)
  await startOne(gate, given.runId, given.admission, node('n'))
  clock.now += 3_600_000
  expect(warm(await gate.sweep())).toMatchObject({ expired: 0, admitted: [] })
  expect(await gate.lookup([given.runId])).toMatchObject({ runs: [{ state: 'started', nodeId: node('n') }] })
})

test('a clock that was set back keeps no reservation, and makes no slot young', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 2 } })
  const [kept, waits] = warm(await gate.offer([offerOf(place('a'), 1), offerOf(place('b'), 2)])).admitted
  if (kept === undefined || waits === undefined) throw new Error('two slots')
  await startOne(gate, kept.runId, kept.admission, node('n'))
  clock.now -= 3_600_000
  expect(warm(await gate.sweep())).toMatchObject({ expired: 1, admitted: [{ runId: waits.runId }] })
  const page = await gate.audit(null)
  const ages = page.kind === 'warm' ? page.slots.map(({ runId, ageMs }) => [runId, ageMs]) : []
  expect(ages).toEqual([
    [kept.runId, 3_600_000],
    [waits.runId, 0],
  ])
  clock.now += 3000
  expect(warm(await gate.sweep()).expired).toBe(1)
})

test('the first node that starts a run has it; asked again it is told so, another is refused', async () => {
  const { gate } = await openGate({ capacities: { none: 1 } })
  const { runId, admission } = one(warm(await gate.offer([offerOf(place('a'), 1)])).admitted)
  expect(await startOne(gate, runId, admission + 1, node('n'))).toBe('refused')
  expect(await startOne(gate, runId, admission, node('n'))).toBe('started')
  expect(await startOne(gate, runId, admission, node('n'))).toBe('started')
  expect(await startOne(gate, runId, admission, node('other'))).toBe('refused')
})

test('a slot released twice is freed once', async () => {
  const { gate } = await openGate({ capacities: { none: 3 } })
  const given = warm(await gate.offer([offerOf(place('a'), 1), offerOf(place('a'), 2)])).admitted
  expect(warm(await gate.release([...given.slice(0, 1), ...given.slice(0, 1)], [])).released).toHaveLength(1)
  expect(warm(await gate.release(given.slice(0, 1), [])).released).toEqual([])
  expect(await used(gate)).toBe(1)
})

test('a stale admission frees nothing', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 1 } })
  const old = one(warm(await gate.offer([offerOf(place('a'), 1)])).admitted)
  clock.now += 3000
  const current = one(warm(await gate.sweep()).admitted)
  expect(warm(await gate.release([old], [])).released).toEqual([])
  expect(await gate.lookup([old.runId])).toMatchObject({ runs: [{ state: 'reserved', admission: current.admission }] })
})

test('release frees a slot and offers the next run of the session in one step', async () => {
  const { gate } = await openGate({ capacities: { none: 1 } })
  const given = one(warm(await gate.offer([offerOf(place('a'), 1)])).admitted)
  const reply = warm(await gate.release([given], [offerOf(place('a'), 2)]))
  expect(one(reply.admitted).runId).toBe(run(2))
})

test('a release that would keep places has as many runs started on its node, in the order of choice, and the others reserved', async () => {
  const { gate } = await openGate({ capacities: { none: 3 } })
  const offers = [1, 2, 3, 4, 5, 6].map((order) => offerOf(place('a'), order))
  const given = warm(await gate.offer(offers)).admitted
  const reply = warm(await gate.release(given, [], { nodeId: node('n'), slots: { none: 2 } }))
  expect(reply.kept.map((each) => each.runId)).toEqual([run(4), run(5)])
  expect(reply.admitted.map((each) => each.runId)).toEqual([run(6)])
  expect(await gate.lookup([run(4), run(6)])).toMatchObject({
    runs: [{ state: 'started', nodeId: node('n') }, { state: 'reserved' }],
  })
  expect(await used(gate)).toBe(3)
})

test('unknown are the runs that are known in no state', async () => {
  const { gate } = await openGate({ capacities: { none: 1 } })
  const later = { ...offerOf(place('a'), 3), notBeforeMs: 60_000 + Date.now() }
  const given = one(warm(await gate.offer([offerOf(place('a'), 1), offerOf(place('a'), 2), later])).admitted)
  expect(await gate.unknown([5, 1, 2, 3, 4].map(run))).toEqual({ kind: 'warm', runIds: [run(5), run(4)] })
  await gate.release([given], [])
  expect(await gate.unknown([run(1), run(2)])).toEqual({ kind: 'warm', runIds: [run(1)] })
})

test('a place is kept in its own pool only', async () => {
  const { gate } = await openGate({ capacities: { none: 1, runc: 1 } })
  const first = one(warm(await gate.offer([offerOf(place('a'), 1), offerOf(place('a'), 2)])).admitted)
  const other = warm(await gate.release([first], [], { nodeId: node('n'), slots: { runc: 1 } }))
  expect([other.kept, other.admitted.map((each) => each.runId)]).toEqual([[], [run(2)]])
})

test('an offer of a known run changes nothing, whatever its state', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 1 } })
  const offers = [
    offerOf(place('a'), 1),
    offerOf(place('a'), 2),
    offerOf(place('a'), 3, { notBeforeMs: clock.now + 5000 }),
  ]
  const given = one(warm(await gate.offer(offers)).admitted)
  expect(warm(await gate.offer(offers)).admitted).toEqual([])
  await startOne(gate, given.runId, given.admission, node('n'))
  expect(warm(await gate.offer(offers.map((one) => ({ ...one, notBeforeMs: null })))).admitted).toEqual([])
  expect(await gate.counts()).toMatchObject({ pools: { none: { queued: 1, due: 1, used: 1 } } })
})

test('a class runs in the order of front, priority, acceptance', async () => {
  const { gate } = await openGate()
  const at = place('a')
  await gate.offer([
    offerOf(at, 'late', { order: 30 }),
    offerOf(at, 'early', { order: 10 }),
    offerOf(at, 'urgent', { order: 40, priority: 90 }),
    offerOf(at, 'back', { order: 50, priority: 0, front: true }),
  ])
  const given = warm(await gate.setCapacities({ none: 10 })).admitted.map((one) => one.runId)
  expect(given).toEqual(['back', 'urgent', 'early', 'late'].map(run))
})

test('a run waits for its time, then for its turn', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 1 } })
  const offer = offerOf(place('a'), 1, { notBeforeMs: clock.now + 500 })
  expect(warm(await gate.offer([offer])).admitted).toEqual([])
  expect(await gate.explain(run(1))).toMatchObject({ explanation: { state: 'due', blockedBy: { kind: 'not_due' } } })
  clock.now += 499
  expect(warm(await gate.sweep()).promoted).toBe(0)
  clock.now += 1
  expect(one(warm(await gate.next()).admitted).runId).toBe(run(1))
})

test('a withdrawn run is gone, waiting or reserved; a started one stays', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 2 } })
  const at = place('a')
  const later = offerOf(at, 4, { notBeforeMs: clock.now + 500 })
  const given = warm(await gate.offer([offerOf(at, 1), offerOf(at, 2), offerOf(at, 3), later])).admitted
  const [started] = given
  if (started !== undefined) await startOne(gate, started.runId, started.admission, node('n'))
  expect(warm(await gate.withdraw([1, 2, 3, 4].map(run))).admitted).toEqual([])
  expect(await gate.lookup([1, 2, 3, 4].map(run))).toMatchObject({
    runs: [{ state: 'started' }, { state: 'unknown' }, { state: 'unknown' }, { state: 'unknown' }],
  })
  expect(await used(gate)).toBe(1)
})

test('withdrawing a reserved run gives its slot to the next', async () => {
  const { gate } = await openGate({ capacities: { none: 1 } })
  await gate.offer([offerOf(place('a'), 1), offerOf(place('a'), 2)])
  expect(one(warm(await gate.withdraw([run(1)])).admitted).runId).toBe(run(2))
})

test('a running run without a slot is given one over the limit, once, and never an older one', async () => {
  const { gate } = await openGate({ capacities: { none: 1 } })
  await gate.offer([offerOf(place('a'), 1), offerOf(place('a'), 2)])
  const admission = admissionOf(1, 70)
  const lost = holdingOf(place('a'), '2', admission)
  expect(warm(await gate.restore([lost])).restored).toEqual([run(2)])
  expect(warm(await gate.restore([lost, { ...lost, admission: admission - 1 }])).restored).toEqual([])
  expect(warm(await gate.restore([{ ...lost, admission: admissionOf(2, 1) }])).restored).toEqual([])
  expect(await gate.lookup([run(2)])).toMatchObject({ runs: [{ state: 'started', admission }] })
  const recount = await gate.recount()
  expect(recount).toMatchObject({ slots: 2, miscounts: [{ node: null, pool: 'none', used: 2, counted: 2, limit: 1 }] })
  expect(warm(await gate.release([{ runId: run(2), admission }], [])).admitted).toEqual([])
  const after = one(
    warm(await gate.setCapacities({ none: 2 })).admitted.concat(
      warm(await gate.offer([offerOf(place('a'), 3)])).admitted,
    ),
  )
  expect(after.admission).toBeGreaterThan(admission)
})

test('audit lists every slot once, page by page', async () => {
  const { gate } = await openGate({ capacities: { none: 1100 } })
  const offers = Array.from({ length: 1100 }, (_, k) => offerOf(place(`w${k % 7}`), `r${k}`))
  await gate.offer(offers)
  const seen: string[] = []
  for (let cursor: number | null = null, pages = 0; pages < 10; pages++) {
    const page = await gate.audit(cursor)
    if (page.kind === 'cold') throw new Error('cold')
    seen.push(...page.slots.map((slot) => slot.runId))
    cursor = page.cursor
    if (cursor === null) break
  }
  expect(seen.length).toBe(1100)
  expect(new Set(seen).size).toBe(1100)
})

test('a walk over the gate meets every run that it knows', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 3 } })
  await gate.offer(
    Array.from({ length: 3000 }, (_, k) =>
      offerOf(place('a'), `s${k}`, { notBeforeMs: k % 3 === 0 ? clock.now + 1000 : null }),
    ),
  )
  const seen = new Set<string>()
  let cursor = '0'
  do {
    const page = await gate.scanRuns(cursor)
    if (page.kind === 'cold') throw new Error('cold')
    for (const id of page.runIds) seen.add(id)
    cursor = page.cursor
  } while (cursor !== '0')
  expect(seen.size).toBe(3000)
})

test('what a class has running and waiting is answered in the order asked', async () => {
  const { gate } = await openGate({ capacities: { none: 1 } })
  await gate.offer([offerOf(place('a'), 1), offerOf(place('a'), 2, { queuedAtMs: 42 })])
  expect(await gate.classStats([place('idle').classKey, place('a').classKey])).toEqual({
    kind: 'warm',
    classes: [
      { classKey: place('idle').classKey, running: 0, waiting: 0, headQueuedAtMs: null },
      { classKey: place('a').classKey, running: 1, waiting: 1, headQueuedAtMs: 42 },
    ],
  })
})

test('a number that is none, or out of its range, is refused before anything is done', async () => {
  const { gate, redis } = await openGate({ capacities: { none: 1 } })
  const before = await redis.client.keys('*')
  const bad = offerOf(place('a'), 1)
  for (const number of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
    await expect(gate.offer([{ ...bad, order: number }])).rejects.toThrow(RangeError)
    await expect(gate.offer([{ ...bad, notBeforeMs: number }])).rejects.toThrow(RangeError)
    await expect(gate.offer([{ ...bad, queuedAtMs: number }])).rejects.toThrow(RangeError)
    await expect(gate.restore([holdingOf(place('a'), '1', number)])).rejects.toThrow(RangeError)
    await expect(gate.setCapacities({ none: number })).rejects.toThrow(RangeError)
    await expect(gate.load({ epoch: number, config: [], holdings: [], capacities: {} })).rejects.toThrow(RangeError)
  }
  expect(await redis.client.keys('*')).toEqual(before)
})

test('text that is not an id or a lane in its form never reaches a key', async () => {
  const { gate, redis } = await openGate({ capacities: { none: 1 } })
  const bad = ['', '*', 'a:b', '{x}', '../x', 'main\n', 'x'.repeat(65), 'ü', '\0']
  for (const text of bad) {
    await expect(gate.offer([offerOf(place('a', 'a', { lane: text }), 1)])).rejects.toThrow()
    await expect(gate.offer([offerOf(place('a', 'a', { classKey: text }), 1)])).rejects.toThrow()
    await expect(gate.offer([offerOf(place('a', 'a', { workspaceId: text }), 1)])).rejects.toThrow()
    await expect(gate.withdraw([text])).rejects.toThrow()
    expect(() => gate.live.subscribe(text, () => undefined)).toThrow()
  }
  for (const lane of ['a', '0.-_', 'cron.daily', 'z_']) {
    await gate.offer([offerOf(place('a', `l ${lane}`, { lane, jobName: '"; return 1 --' }), `in ${lane}`)])
  }
  expect((await redis.client.keys('*')).filter((key) => !key.startsWith('{muster}:'))).toEqual([])
})
