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

test('what is said cannot pass for a line of its own, nor move the cursor', () => {
  const line = { level: 'info', msg: 'a\n12:00:00 muster', path: '/\x1b[2J\x9b2J', err: { message: 'b\r\x1b[A' } }
  const shown = formatLine('worker-1', line, 'plain')
  expect(shown.split('\n')).toHaveLength(2)
  expect(shown).toContain('a\\u000a12:00:00 muster path=/\\u001b[2J\\u009b2J')
  expect(shown).toContain('    b\\u000d\\u001b[A')
  expect(formatLine('worker-1', 'c\x1b[2J', 'plain')).toMatch(/c\\u001b\[2J$/)
})

test('an error is shown with its causes', () => {
  const err = { stack: 'Error: a\n  at b', cause: { stack: 'Error: c\n  at d' } }
  expect(formatLine('gateway', { msg: 'failed', err }, 'plain')).toMatch(
    /failed\n {4}Error: a\n {6}at b\n {4}Error: c\n {6}at d$/,
  )
})

test('what is no JSON is shown as it came, after who said it', () => {
  expect(formatLine('gateway', 'Segmentation fault', 'plain')).toMatch(/ gateway {3}Segmentation fault$/)
})
