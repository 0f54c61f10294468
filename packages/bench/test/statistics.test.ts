import { expect, test } from 'vitest'
import { jainIndex, quantile, spreadOf } from '../src/statistics.ts'

test('a quantile lies between its neighbours', () => {
  expect(quantile([4, 1, 3, 2], 0)).toBe(1)
  expect(quantile([4, 1, 3, 2], 1)).toBe(4)
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5)
  expect(quantile([10, 2, 33], 0.5)).toBe(10)
  expect(quantile([7], 0.99)).toBe(7)
  expect(
    quantile(
      Array.from({ length: 101 }, (_, k) => k),
      0.99,
    ),
  ).toBe(99)
})

test('numbers are ordered as numbers, and the list is left as it was', () => {
  const values = [100, 9, 20]
  expect(quantile(values, 0.5)).toBe(20)
  expect(values).toEqual([100, 9, 20])
})

test('a spread holds the middle and both ends', () => {
  expect(spreadOf([5, 1, 9])).toEqual({ median: 5, min: 1, max: 9 })
})

test('nothing cannot be summed up', () => {
  expect(() => quantile([], 0.5)).toThrow('nothing to sum up')
})

test("Jain's index is 1 for equals and 1/n when one has everything", () => {
  expect(jainIndex([3, 3, 3, 3])).toBe(1)
  expect(jainIndex([8, 0, 0, 0])).toBe(0.25)
  expect(jainIndex([0, 0])).toBe(1)
  expect(jainIndex([1, 2, 3])).toBeCloseTo(36 / 42)
})
