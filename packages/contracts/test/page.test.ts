import { expect, test } from 'vitest'
import { pageQuerySchema } from '../src/index.ts'

const faultsOf = (limit: string): readonly string[] =>
  pageQuerySchema.safeParse({ limit }).error?.issues.map((issue) => issue.message) ?? []

test('a limit that is no number is told so, and one outside its bounds is told the bounds', () => {
  expect(['1', '200', '007'].map(faultsOf)).toEqual([[], [], []])
  for (const limit of ['', 'x', '-1', '1e2', '0x10', ' 5', '1.0', '٣', '9'.repeat(400)])
    expect(faultsOf(limit)).toEqual(['must be a number in decimal digits'])
  for (const limit of ['0', '201', '999999']) expect(faultsOf(limit)).toEqual(['must be 1 to 200'])
  expect(pageQuerySchema.parse({})).toEqual({ limit: 50 })
})
