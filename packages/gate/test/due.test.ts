import { expect, test } from 'vitest'
import { offerOf, place, run, warm } from './fleet.ts'
import { openGate } from './open-gate.ts'

const offerDue = async (
  gate: Awaited<ReturnType<typeof openGate>>['gate'],
  name: string,
  count: number,
  notBeforeMs: number,
) => {
  const offers = Array.from({ length: count }, (_, k) => offerOf(place(name), `${name}${k}`, { notBeforeMs }))
  for (let start = 0; start < count; start += 500) await gate.offer(offers.slice(start, start + 500))
}

test('a sweep lets in a thousand runs that became due at once, so that who became due after them waits for no further one', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 2 } })
  await offerDue(gate, 'many', 1000, clock.now + 500)
  await offerDue(gate, 'last', 1, clock.now + 501)
  await offerDue(gate, 'later', 1, clock.now + 60_000)
  clock.now += 1000
  const swept = warm(await gate.sweep())
  expect(swept.promoted).toBe(1001)
  expect(swept.admitted).toHaveLength(2)
  expect(await gate.lookup([run('last0'), run('later0')])).toMatchObject({
    runs: [{ state: 'parked' }, { state: 'due' }],
  })
  expect(await gate.counts()).toMatchObject({ pools: { none: { queued: 999, due: 1, used: 2 } } })
})

test('a sweep takes a share of more than that, the next ones the rest', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 1 } })
  await offerDue(gate, 'many', 3000, clock.now + 500)
  clock.now += 1000
  const shares: number[] = []
  while (shares.at(-1) !== 0) shares.push(warm(await gate.sweep()).promoted)
  expect(shares.reduce((sum, share) => sum + share)).toBe(3000)
  expect(Math.max(...shares)).toBeLessThan(2000)
  expect(shares.length).toBeLessThan(5)
})

test('a run whose time has come is not said to wait for it, though it is not let in yet, but for what holds back its class', async () => {
  const { gate, clock } = await openGate({ capacities: { none: 1 } })
  await offerDue(gate, 'a', 1, clock.now + 500)
  const explained = async () => {
    const answer = await gate.explain(run('a0'))
    return answer.kind === 'warm' ? [answer.explanation?.state, answer.explanation?.blockedBy.kind] : []
  }
  clock.now += 499
  expect(await explained()).toEqual(['due', 'not_due'])
  clock.now += 1
  expect(await explained()).toEqual(['due', 'none'])
  clock.now -= 1
  await gate.setCapacities({ none: 0 })
  clock.now += 1
  expect(await explained()).toEqual(['due', 'no_node'])
})
