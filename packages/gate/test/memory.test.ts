import { expect, test } from 'vitest'
import type { Admitted } from '../src/index.ts'
import { offerOf, place, warm } from './fleet.ts'
import { openGate } from './open-gate.ts'

test('classes that were offered and are finished leave no keys behind', { timeout: 900_000 }, async () => {
  const classes = process.env['MUSTER_PROVE'] ? 100_000 : 2000
  const { gate, redis, clock } = await openGate({ capacities: { none: 300 } })
  const bare = (await redis.client.keys('*')).length
  const offers = Array.from({ length: classes }, (_, k) => offerOf(place(`w${k % 50}`, `c${k}`), `m${k}`))
  const held: Admitted[] = []
  for (let at = 0; at < classes; at += 500) held.push(...warm(await gate.offer(offers.slice(at, at + 500))).admitted)
  let finished = 0
  while (held.length > 0) {
    const some = held.splice(0, 64)
    finished += some.length
    clock.now += 7
    held.push(...warm(await gate.release(some, [])).admitted)
  }
  expect(finished).toBe(classes)
  const left = async () => (await redis.client.keys('*')).filter((key) => !key.endsWith(':pass')).length
  await expect.poll(() => gate.sweep().then(left), { timeout: 60_000, interval: 0 }).toBe(bare)
})

test('a class that is ahead is remembered while a sibling works, and forgotten when it has caught up', async () => {
  const { gate, redis, clock } = await openGate({ capacities: { none: 2 } })
  const [a, b] = [place('t', 'a'), place('t', 'b')]
  const given = warm(await gate.offer([offerOf(a, 1), offerOf(b, 2), offerOf(b, 3)])).admitted
  clock.now += 1000
  const first = given.filter((one) => one.runId === offerOf(a, 1).runId)
  const last = given.filter((one) => one.runId !== offerOf(a, 1).runId)
  clock.now += 1000
  await gate.release(last, [])
  clock.now += 1000
  const rest = warm(await gate.release(first, [])).admitted
  expect(rest).toEqual([])
  const known = async () => (await redis.client.hkeys('{muster}:1:n')).filter((id) => id.startsWith('cls_')).length
  expect(await known()).toBe(2)
  clock.now += 1000
  await gate.sweep()
  expect(await known()).toBe(1)
})
