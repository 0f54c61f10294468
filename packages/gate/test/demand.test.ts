import { expect, test } from 'vitest'
import { offerOf, place, warm, workspace } from './fleet.ts'
import { openGate } from './open-gate.ts'

type Opened = Awaited<ReturnType<typeof openGate>>['gate']

const startable = async (gate: Opened): Promise<number> => {
  const answer = await gate.demand()
  return answer.kind === 'warm' ? answer.startable.none : -1
}
const limit = (name: string, concurrency: number | null, version: number) => ({
  node: { kind: 'workspace', workspaceId: workspace(name) } as const,
  limit: concurrency,
  weight: 1,
  paused: false,
  version,
})
const offers = (name: string, from: number, many: number) =>
  Array.from({ length: many }, (_, index) => offerOf(place(name), `${name}${from + index}`))

test('a pool without slots tells what could start in it, and an idle one 0', async () => {
  const { gate } = await openGate({ capacities: {} })
  expect(await startable(gate)).toBe(0)
  warm(await gate.offer([...offers('a', 0, 5), ...offers('b', 0, 7)]))
  expect(await startable(gate)).toBe(12)
  expect(await gate.demand()).toMatchObject({ startable: { bubblewrap: 0, runc: 0, gvisor: 0 } })
})

test('what a limit leaves room for counts, slots in use taken off; what it holds back and what is paused does not', async () => {
  const { gate } = await openGate({ capacities: { none: 1 } })
  await gate.configure([limit('a', 3, 1)])
  warm(await gate.offer(offers('a', 0, 9)))
  expect(await startable(gate)).toBe(2)
  warm(await gate.offer(offers('b', 0, 4)))
  expect(await startable(gate)).toBe(6)
  await gate.configure([limit('a', 1, 2)])
  expect(await startable(gate)).toBe(4)
  await gate.configure([{ ...limit('b', null, 3), paused: true }])
  expect(await startable(gate)).toBe(0)
})

test('a run that is not due counts when its time has come', async () => {
  const { gate, clock } = await openGate({ capacities: {} })
  warm(await gate.offer([offerOf(place('a'), 1, { notBeforeMs: clock.now + 5000 })]))
  expect(await startable(gate)).toBe(0)
  clock.now += 5000
  await gate.sweep()
  expect(await startable(gate)).toBe(1)
})

test('beyond a thousand nodes each branch counts as one run', async () => {
  const { gate } = await openGate({ capacities: {} })
  for (let index = 0; index < 1100; index += 100)
    warm(
      await gate.offer(
        Array.from({ length: 100 }, (_, at) =>
          [0, 1].map((twice) => offerOf(place(index + at), `${index + at}/${twice}`)),
        ).flat(),
      ),
    )
  expect(await startable(gate)).toBe(1100)
  await gate.close()
})
