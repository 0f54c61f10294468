import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { Batcher, type BatcherOptions } from '../src/index.ts'

type Flight = { readonly items: readonly string[]; readonly land: () => void; readonly crash: (error: Error) => void }

/** A batcher whose batches stay in flight until they are told to land. */
function airfield(options: BatcherOptions<string>) {
  const flights: Flight[] = []
  const batcher = new Batcher<string, string>((items) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>()
    flights.push({ items, land: () => resolve(items.map((item) => `did ${item}`)), crash: reject })
    return promise
  }, options)
  return { batcher, flights }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what comes in one turn departs together, what comes later gathers, and each gets its own answer in order', async () => {
  const { batcher, flights } = airfield({ max: 10 })
  const answers = [batcher.add('a')]
  await turn()
  expect(flights.map((flight) => flight.items)).toEqual([['a']])
  answers.push(batcher.add('b'))
  await turn()
  answers.push(batcher.add('c'))
  flights[0]?.land()
  await turn()
  await turn()
  expect(flights[1]?.items).toEqual(['b', 'c'])
  flights[1]?.land()
  expect(await Promise.all(answers)).toEqual(['did a', 'did b', 'did c'])
})

test('where items depart at once, one that finds nothing in flight leaves in its own turn, and the next ones gather', async () => {
  const { batcher, flights } = airfield({ max: 10, departs: 'at once' })
  const departed = () => flights.map((flight) => flight.items)
  const answers = [batcher.add('a')]
  expect(departed()).toEqual([['a']])
  answers.push(batcher.add('b'), batcher.add('c'))
  await turn()
  expect(departed()).toEqual([['a']])
  flights[0]?.land()
  await turn()
  await turn()
  expect(departed()).toEqual([['a'], ['b', 'c']])
  flights[1]?.land()
  expect(await Promise.all(answers)).toEqual(['did a', 'did b', 'did c'])
})

test('a batch in flight keeps the next from another lane for a while, unless that is full or the flight ends', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  try {
    const { batcher, flights } = airfield({ max: 2, lanes: 3, overtakeMs: 4 })
    const departed = () => flights.map((flight) => flight.items.join(''))
    const answers = [batcher.add('a')]
    await turn()
    answers.push(batcher.add('b'))
    await vi.advanceTimersByTimeAsync(3)
    await turn()
    expect(departed()).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(1)
    expect(departed()).toEqual(['a', 'b'])
    answers.push(batcher.add('c'), batcher.add('d'))
    await turn()
    expect(departed()).toEqual(['a', 'b', 'cd'])
    answers.push(batcher.add('e'))
    for (const flight of flights) flight.land()
    await turn()
    await turn()
    expect(departed()).toEqual(['a', 'b', 'cd', 'e'])
    flights[3]?.land()
    await Promise.all(answers)
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

test('no batch is larger than its bound, and no more fly at once than there are lanes', async () => {
  const { batcher, flights } = airfield({ max: 2, lanes: 2 })
  const answers = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((item) => batcher.add(item))
  await turn()
  expect(flights.map((flight) => flight.items)).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ])
  flights[1]?.land()
  await turn()
  await turn()
  expect(flights[2]?.items).toEqual(['e', 'f'])
  flights[0]?.land()
  await turn()
  await turn()
  expect(flights[3]?.items).toEqual(['g'])
  flights[2]?.land()
  flights[3]?.land()
  await Promise.all(answers)
})

test('items to be kept apart never share a batch and keep their order', async () => {
  const { batcher, flights } = airfield({ max: 10, apart: (item) => item[0] ?? null })
  const answers = ['x', 'a1', 'b1', 'a2', 'a3'].map((item) => batcher.add(item))
  await turn()
  for (let n = 0; n < 3; n++) {
    flights[n]?.land()
    await turn()
    await turn()
  }
  expect(flights.map((flight) => flight.items)).toEqual([['x', 'a1', 'b1'], ['a2'], ['a3']])
  await Promise.all(answers)
})

test('a batch that fails rejects its own items only, and the next departs', async () => {
  const { batcher, flights } = airfield({ max: 10 })
  const one = batcher.add('a')
  await turn()
  const other = batcher.add('b')
  flights[0]?.crash(new Error('no'))
  await expect(one).rejects.toThrow('no')
  await turn()
  flights[1]?.land()
  await expect(other).resolves.toBe('did b')
})

test('an item without an answer, and a batch that throws before it flies, are rejected', async () => {
  const short = new Batcher<string, string>(async () => [], { max: 5 })
  await expect(short.add('a')).rejects.toThrow('fewer results')
  const broken = new Batcher<string, string>(
    () => {
      throw new Error('at once')
    },
    { max: 5 },
  )
  await expect(broken.add('a')).rejects.toThrow('at once')
  await expect(broken.add('b')).rejects.toThrow('at once')
})

test('whatever is added whenever, every item flies exactly once and within the rules', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { maxLength: 40 }),
      fc.integer({ min: 1, max: 5 }),
      async (adds, max) => {
        const flown: string[][] = []
        const batcher = new Batcher<string, string>(
          async (items) => {
            flown.push([...items])
            await turn()
            return items
          },
          { max, lanes: 2, apart: (item) => item[0] ?? null },
        )
        const answers: Promise<string>[] = []
        for (const [index, [key, wait]] of adds.entries()) {
          answers.push(batcher.add(`${key}${index}`))
          if (wait) await turn()
        }
        expect(await Promise.all(answers)).toEqual(adds.map(([key], index) => `${key}${index}`))
        expect(flown.flat().sort()).toEqual(adds.map(([key], index) => `${key}${index}`).sort())
        for (const batch of flown) {
          expect(batch.length).toBeLessThanOrEqual(max)
          expect(new Set(batch.map((item) => item[0])).size).toBe(batch.length)
        }
      },
    ),
    { numRuns: 50 },
  )
})

test('past the bound of what may wait, an item is refused at once and those that wait are served', async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const batcher = new Batcher<number, number>(
    async (items) => {
      await held
      return items
    },
    { max: 2, waitingMax: 2 },
  )
  const taken = [batcher.add(1)]
  await turn()
  taken.push(batcher.add(2), batcher.add(3))
  await expect(batcher.add(4)).rejects.toMatchObject({ code: 'unavailable' })
  release()
  expect(await Promise.all(taken)).toEqual([1, 2, 3])
})
