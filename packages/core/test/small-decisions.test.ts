import { idPattern, RUN_STATUSES } from '@muster/contracts'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import {
  addUsage,
  admissionOf,
  desiredWorkers,
  epochOf,
  isRunOver,
  NO_USAGE,
  newId,
  RUN_LIFECYCLE,
} from '../src/index.ts'

const report = fc.record(
  {
    provider: fc.constantFrom('one', 'two'),
    model: fc.constantFrom('small', 'large'),
    input_tokens: fc.integer({ min: 0, max: 1e9 }),
    output_tokens: fc.integer({ min: 0, max: 1e9 }),
    cost_usd: fc.integer({ min: 0, max: 1000 }),
  },
  { requiredKeys: [] },
)

test('usage adds up, in all and by provider and model, with one line for each pair', () => {
  fc.assert(
    fc.property(fc.array(report, { maxLength: 30 }), (reports) => {
      const total = reports.reduce(addUsage, NO_USAGE)
      for (const count of ['input_tokens', 'output_tokens', 'cost_usd'] as const) {
        const sum = reports.reduce((all, each) => all + (each[count] ?? 0), 0)
        expect(total[count]).toBe(sum)
        expect(total.by_model.reduce((all, line) => all + line[count], 0)).toBe(sum)
      }
      const pairs = total.by_model.map((line) => `${line.provider}/${line.model}`)
      expect(new Set(pairs).size).toBe(pairs.length)
      expect(pairs).toHaveLength(new Set(reports.map((each) => `${each.provider ?? null}/${each.model ?? null}`)).size)
    }),
  )
})

test('adding a report leaves the earlier total as it was', () => {
  const before = addUsage(NO_USAGE, { model: 'small', input_tokens: 5 })
  const copy = structuredClone(before)
  addUsage(before, { model: 'small', input_tokens: 7 })
  expect(before).toEqual(copy)
  expect(NO_USAGE.by_model).toEqual([])
})

test('an admission of a later epoch is greater than every one of an earlier epoch, and knows its epoch', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 20 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      (epoch, counter, other) => {
        expect(epochOf(admissionOf(epoch, counter))).toBe(epoch)
        expect(admissionOf(epoch + 1, other)).toBeGreaterThan(admissionOf(epoch, counter))
        expect(Number.isSafeInteger(admissionOf(epoch, counter))).toBe(true)
      },
    ),
  )
})

test('ids of one kind sort by the order in which they were made', () => {
  const ids = Array.from({ length: 1000 }, () => newId('run'))
  expect([...ids].sort()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
})

test('an id begins with the time in Crockford base 32, and a clock that stands still or goes back takes nothing from the order', () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(9999, 11, 31) })
  try {
    const first = newId('run')
    expect(first).toMatch(idPattern('run'))
    expect(first.slice(4, 14)).toBe('76ez6fk000')
    const second = newId('run')
    expect(second.slice(0, 22)).toBe(first.slice(0, 22))
    expect(second > first).toBe(true)
    vi.setSystemTime(Date.UTC(2020, 0, 1))
    expect(newId('run') > second).toBe(true)
  } finally {
    vi.useRealTimers()
  }
})

test('a run is over exactly where nothing follows', () => {
  for (const status of RUN_STATUSES) expect(isRunOver(status)).toBe(RUN_LIFECYCLE[status].length === 0)
})

test('a pool wants as many workers as carry its runs, none when idle, and one when no worker was ever seen', () => {
  for (const [runs, slotsPerWorker, wanted] of [
    [0, 4, 0],
    [0, null, 0],
    [-1, 4, 0],
    [1, 4, 1],
    [4, 4, 1],
    [5, 4, 2],
    [7, 3.5, 2],
    [1000, null, 1],
  ] as const)
    expect(desiredWorkers(runs, slotsPerWorker)).toBe(wanted)
})
