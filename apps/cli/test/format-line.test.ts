import { expect, test } from 'vitest'
import { formatLine } from '../src/terminal/format-line.ts'

test('a log line reads as time, who, level, message and fields, with a stack below', () => {
  const line = {
    time: '2026-01-01T12:00:00.000Z',
    level: 'error',
    app: 'worker',
    msg: 'failed',
    run_id: 'run_1',
    left: 2,
    err: { stack: 'Error: x\n  at y' },
  }
  expect(formatLine('worker-1', line, 'plain').replace(/^\d\d:\d\d:\d\d/, 'TIME')).toBe(
    'TIME worker-1  error failed run_id=run_1 left=2\n    Error: x\n      at y',
  )
})

test('what is no JSON is shown as it came, after who said it', () => {
  expect(formatLine('gateway', 'Segmentation fault', 'plain')).toMatch(/ gateway {3}Segmentation fault$/)
})
