import { expect, test } from 'vitest'
import { WaitingQueue } from '../src/waiting-queue.ts'

const SCOPE = { kind: 'workspace', workspaceId: 'wsp_01arz3ndektsv4rrffq69g5fav' } as const

/** Counts that are answered, and a clock that goes on, when the test says so. */
function heldCounts() {
  const clock = { ms: 0 }
  const asked: { readonly max: number; readonly answer: PromiseWithResolvers<number> }[] = []
  const queueOf = (max: number) =>
    new WaitingQueue(
      SCOPE,
      max,
      (question) => {
        const answer = Promise.withResolvers<number>()
        asked.push({ max: question.max, answer })
        return answer.promise
      },
      () => clock.ms,
    )
  return { asked, clock, queueOf }
}

/** Seats until there is no room; how many. */
function fill(queue: WaitingQueue) {
  const seats = []
  while (queue.hasRoom) seats.push(queue.sit())
  return seats
}

test('whoever asks while a count is under way waits for the same one; it holds for a second', async () => {
  const { asked, clock, queueOf } = heldCounts()
  const queue = queueOf(10)
  const waiting = Promise.all([queue.refresh(), queue.refresh()])
  expect(asked.map((one) => one.max)).toEqual([10])
  asked[0]?.answer.resolve(7)
  await waiting
  expect(fill(queue)).toHaveLength(3)
  clock.ms += 999
  await queue.refresh()
  expect(asked).toHaveLength(1)
  clock.ms += 1
  void queue.refresh()
  expect(asked).toHaveLength(2)
})

test('what is kept or on its way while the queue is counted still takes room, and is forgotten with the next count', async () => {
  const { asked, clock, queueOf } = heldCounts()
  const queue = queueOf(10)
  const first = queue.refresh()
  asked[0]?.answer.resolve(0)
  await first
  const [one, two, three] = [queue.sit(), queue.sit(), queue.sit()]
  one.keep()
  clock.ms += 1000
  const second = queue.refresh()
  two.keep()
  expect(queue.hasRoom).toBe(true)
  asked[1]?.answer.resolve(5)
  await second
  // five counted, one kept meanwhile, one on its way
  expect(fill(queue)).toHaveLength(3)
  three.giveBack()
  expect(fill(queue)).toHaveLength(1)
})

test('another limit asks for another count, one that is under way included', async () => {
  const { asked, queueOf } = heldCounts()
  const queue = queueOf(3)
  const first = queue.refresh()
  queue.bound(8)
  asked[0]?.answer.resolve(3)
  await first
  const second = queue.refresh()
  expect(asked.map((one) => one.max)).toEqual([3, 8])
  asked[1]?.answer.resolve(6)
  await second
  expect(fill(queue)).toHaveLength(2)
})

test('a count that fails is tried by the next who asks, and what was kept before is not forgotten', async () => {
  const { asked, queueOf } = heldCounts()
  const queue = queueOf(3)
  queue.sit().keep()
  const first = queue.refresh()
  asked[0]?.answer.reject(new Error('no database'))
  await expect(first).rejects.toThrow('no database')
  expect(fill(queue)).toHaveLength(2)
  const second = queue.refresh()
  expect(asked).toHaveLength(2)
  asked[1]?.answer.resolve(0)
  await second
})
