import { expect, it } from 'vitest'
import type { Steps } from '../src/disk/steps.ts'
import { createTurns, type Done } from '../src/disk/take-turns.ts'

/** Work of so many ms, whose end is told to `onEnd` however it comes. */
function* work(ms: number, onEnd: () => void = () => undefined): Steps<number> {
  const until = performance.now() + ms
  try {
    while (performance.now() < until) yield
    return ms
  } finally {
    onEnd()
  }
}

/** Work of so many steps, each of a tenth of a millisecond. */
function* steps(count: number): Steps<number> {
  for (let step = 0; step < count; step += 1) {
    const until = performance.now() + 0.1
    while (performance.now() < until);
    yield
  }
  return count
}

it('lets small work end while large work goes on, however much of that there is', () => {
  const done: Done<number>[] = []
  const turns = createTurns<number>((one) => done.push(one))
  for (let number = 0; number < 6; number += 1) turns.begin(number, steps(6_000))
  for (let turn = 0; turn < 80; turn += 1) turns.turn()
  turns.begin(9, steps(20))
  const begun = performance.now()
  while (done.length === 0) turns.turn()
  expect(done).toEqual([{ number: 9, size: 20 }])
  expect(performance.now() - begun).toBeLessThan(200)
})

it('comes to the end of all of it', () => {
  const done: Done<number>[] = []
  const turns = createTurns<number>((one) => done.push(one))
  for (let number = 0; number < 6; number += 1) turns.begin(number, steps(2_500))
  while (turns.turn());
  expect(done.map(({ number }) => number).sort()).toEqual([0, 1, 2, 3, 4, 5])
})

it('tells what failed, alone', () => {
  const done: Done<number>[] = []
  const turns = createTurns<number>((one) => done.push(one))
  turns.begin(1, work(1))
  turns.begin(
    2,
    work(1, () => {
      throw new Error('no')
    }),
  )
  while (turns.turn());
  expect(done).toContainEqual({ number: 1, size: 1 })
  expect(done).toContainEqual({ number: 2, failed: 'no' })
})

it('goes on with nothing that was given up, and leaves nothing of it open', () => {
  const done: Done<number>[] = []
  const turns = createTurns<number>((one) => done.push(one))
  let ended = false
  turns.begin(
    1,
    work(60_000, () => {
      ended = true
    }),
  )
  expect(turns.turn()).toBe(true)
  turns.drop(1)
  expect(ended).toBe(true)
  expect(turns.turn()).toBe(false)
  expect(done).toEqual([])
})
