import { idPattern, RUN_STATUSES, usageSchema } from '@muster/contracts'
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

test('usage that an agent makes up stays a total that can be read again, whatever it reports and however often', () => {
  const number = fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER)
  const wild = fc.record(
    {
      model: fc.integer({ min: 0, max: 200 }).map(String),
      input_tokens: number,
      output_tokens: number,
      cost_usd: fc.constantFrom(0, 0.1, Number.MAX_VALUE),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.array(wild, { maxLength: 300, size: 'max' }), (reports) => {
      const total = reports.reduce(addUsage, NO_USAGE)
      expect(usageSchema.parse(JSON.parse(JSON.stringify(total)))).toEqual(total)
      expect(total.by_model.length).toBeLessThanOrEqual(65)
    }),
  )
})

test('past 64 models the rest is summed without a name, and nothing is left out', () => {
  const reports = Array.from({ length: 100 }, (_, index) => ({ provider: 'one', model: `m${index}`, input_tokens: 1 }))
  const total = [...reports, ...reports].reduce(addUsage, NO_USAGE)
  expect(total).toMatchObject({ input_tokens: 200, by_model: { length: 65 } })
  expect(total.by_model.find((line) => line.model === 'm63')).toMatchObject({ input_tokens: 2 })
  expect(total.by_model.find((line) => line.model === null)).toMatchObject({ provider: null, input_tokens: 72 })
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

test('a run is over for good once it succeeded, failed, timed out or was cancelled, and every other status can still come to an end', () => {
  const ends = ['succeeded', 'failed', 'timed_out', 'cancelled']
  expect(RUN_STATUSES.filter(isRunOver)).toEqual(ends)
  for (const status of RUN_STATUSES) {
    expect(RUN_LIFECYCLE[status]).toHaveLength(new Set(RUN_LIFECYCLE[status]).size)
    if (!isRunOver(status)) expect(RUN_LIFECYCLE[status].some((next) => ends.includes(next))).toBe(true)
  }
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
    [65, 13 / 3, 15],
    [66, 13 / 3, 16],
    [1, 1_000_000, 1],
    [1000, null, 1],
  ] as const)
    expect(desiredWorkers(runs, slotsPerWorker)).toBe(wanted)
})
