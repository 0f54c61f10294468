import { expect, test } from 'vitest'
import { paceWarnings } from '../src/pace-warnings.ts'

test('an outage of an hour is told once a minute, with how often it came, and hides no other trouble', () => {
  let nowMs = 0
  const told: object[] = []
  const warn = paceWarnings(
    { warn: (fields: object, message?: string) => void told.push({ ...fields, message }) },
    () => nowMs,
  )
  const refused = Object.assign(new Error('no'), { code: 'ECONNREFUSED' })
  for (; nowMs < 3_600_000; nowMs += 100) {
    warn(refused, { source: 'scripts' }, 'the gate is in trouble')
    if (nowMs === 5000) warn(new Error('other'), { source: 'scripts' }, 'the gate is in trouble')
  }
  expect(told).toHaveLength(61)
  expect(told.slice(0, 3)).toEqual([
    { err: refused, source: 'scripts', message: 'the gate is in trouble' },
    { err: new Error('other'), source: 'scripts', message: 'the gate is in trouble' },
    { err: refused, source: 'scripts', untold: 599, message: 'the gate is in trouble' },
  ])
})
