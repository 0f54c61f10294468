import { expect, it } from 'vitest'
import { createLineSplitter } from '../src/line-splitter.ts'

const BOUNDS = { lineBytes: 64 * 1024, messageBytes: 1024 * 1024 }

/** How long a line takes that comes byte by byte. */
function millisecondsOf(byte: string): number {
  const splitter = createLineSplitter(BOUNDS)
  const chunk = Buffer.from(byte)
  const begun = performance.now()
  for (let count = 0; count < 8_000; count += 1) splitter.push(chunk)
  return performance.now() - begun
}

it('a line of blanks costs no more than one of letters, however slowly it comes', () => {
  millisecondsOf('x')
  expect(millisecondsOf(' ')).toBeLessThan(10 * (millisecondsOf('x') + 1))
})

it('a message may begin with blanks, in a chunk of their own', () => {
  const splitter = createLineSplitter({ lineBytes: 8, messageBytes: 64 })
  const message = '{"type":"message"}'
  expect(['  ', '\t', message, '\n'].flatMap((chunk) => splitter.push(Buffer.from(chunk)))).toEqual([
    { text: `  \t${message}`, bytes: 21, cut: false, ended: true },
  ])
})
