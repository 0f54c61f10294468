import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clientKeySchema, timestampSchema } from '../src/index.ts'

const isTime = (text: string): boolean => timestampSchema.safeParse(text).success

describe('a time', () => {
  test.for([
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '9999-12-31T23:59:59.999Z',
    '9999-12-31T23:59:59.9999994Z',
    '9999-12-31T23:59:58.9999999Z',
    '2030-01-01T00:00:00.123456789+15:59',
    '2030-01-01T00:00:00-00:00',
    '2024-02-29T00:00:00Z',
  ])('that Postgres writes as the same time is taken: %s', (text) => {
    expect(isTime(text)).toBe(true)
  })

  test.for([
    ['the year 10000, once it is rounded to microseconds', '9999-12-31T23:59:59.9999999Z'],
    ['the same, by the last of many digits', `9999-12-31T23:59:59.9999994${'9'.repeat(30)}Z`],
    ['the year 10000, in UTC', '9999-12-31T23:59:59-01:00'],
    ['the year 0, in UTC', '0001-01-01T00:00:00+00:01'],
    ['more digits than Postgres reads', `2030-01-01T00:00:00.${'1'.repeat(300)}Z`],
    ['an offset that no place has', '2030-01-01T00:00:00+16:00'],
    ['a leap second', '2016-12-31T23:59:60Z'],
    ['a day that is none', '2026-02-29T00:00:00Z'],
    ['no offset', '2030-01-01T00:00:00'],
    ['no seconds', '2030-01-01T00:00Z'],
    ['a line feed', '2030-01-01T00:00:00Z\n'],
  ] as const)('that is %s is refused', ([, text]) => {
    expect(isTime(text)).toBe(false)
  })

  test('of the years 1 to 9999 is taken as JavaScript writes it', () => {
    const min = new Date('0001-01-01T00:00:00Z')
    const max = new Date('9999-12-31T23:59:59.999Z')
    fc.assert(fc.property(fc.date({ min, max, noInvalidDate: true }), (date) => isTime(date.toISOString())))
  })
})

test('the length of a text is counted in code points, as JSON Schema counts it', () => {
  for (const letter of ['a', 'ä', '😀']) {
    expect(clientKeySchema.safeParse(letter.repeat(255)).success).toBe(true)
    expect(clientKeySchema.safeParse(letter.repeat(256)).success).toBe(false)
  }
  expect(clientKeySchema.safeParse('').success).toBe(false)
})
