import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { KnownClasses } from '../src/known-classes.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('a class is made known again before an hour is over', () => {
  const classes = new KnownClasses()
  classes.add(['cls_a'])
  vi.advanceTimersByTime(60_000)
  expect(classes.has('cls_a')).toBe(true)
  expect(classes.has('cls_b')).toBe(false)
  vi.advanceTimersByTime(1_800_000)
  expect(classes.has('cls_a')).toBe(false)
  classes.add(['cls_a'])
  expect(classes.has('cls_a')).toBe(true)
})

test('of too many classes some are forgotten, and not the last', () => {
  const classes = new KnownClasses()
  for (let n = 0; n <= 100_000; n += 10) classes.add(Array.from({ length: 10 }, (_, k) => `cls_${n + k}`))
  expect(classes.has('cls_0')).toBe(false)
  expect(classes.has('cls_100009')).toBe(true)
})
