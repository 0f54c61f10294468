import { isStorable } from '@muster/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLineSplitter } from '../src/line-splitter.ts'
import { runKept, textOf } from './agent-run.ts'
import { fakeProcess } from './fake-process.ts'

const LINE_BYTES = 16
const MESSAGE_BYTES = 64

const piece = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc
    .constantFrom('\n', '{', '{"type":"message","text":"', '"}\n', '\\u0000', '\\ud800', '\0', 'é', '😀', ' {', '\n\n')
    .map((text) => Buffer.from(text)),
  fc
    .oneof(
      fc.record({ type: fc.constantFrom('message', 'delta', 'log'), text: fc.string({ unit: 'binary' }) }),
      fc.record({ type: fc.constant('tool_call'), id: fc.string(), name: fc.string(), input: fc.jsonValue() }),
      fc.record({ type: fc.constant('usage'), input_tokens: fc.nat(), cost_usd: fc.double() }),
      fc.record({ type: fc.constant('snapshot'), state: fc.jsonValue() }),
      fc.record({ type: fc.constant('input_consumed'), id: fc.string() }),
    )
    .map((message) => Buffer.from(`${JSON.stringify(message)}\n`)),
)

describe('whatever bytes an agent writes', () => {
  it('lines are the same however the bytes are chunked, and lose only what is marked as cut', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }),
        fc.array(fc.nat({ max: 50 }), { maxLength: 40 }),
        (pieces, cuts) => {
          const bytes = Buffer.concat(pieces)
          const splitter = createLineSplitter({ lineBytes: LINE_BYTES, messageBytes: MESSAGE_BYTES })
          const lines = []
          let at = 0
          for (const size of cuts) {
            lines.push(...splitter.push(bytes.subarray(at, at + size)))
            at += size
          }
          lines.push(...splitter.push(bytes.subarray(at)), ...splitter.end())
          const expected = bytes.length === 0 ? [] : splitPlainly(bytes)
          expect(lines.map((one) => ({ bytes: one.bytes, cut: one.cut, ended: one.ended }))).toEqual(
            expected.map(({ text: _text, ...one }) => one),
          )
          for (const [index, one] of lines.entries()) if (!one.cut) expect(one.text).toBe(expected[index]?.text)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('the driver never fails, and everything it hands on can be stored', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), fc.array(piece, { maxLength: 10 }), async (out, err) => {
        const fake = fakeProcess()
        const run = runKept(fake.process, { lineBytes: 256, messageBytes: 4096, eventBytes: 1024 })
        for (const chunk of out) fake.stdout.write(chunk)
        for (const chunk of err) fake.stderr.write(chunk)
        fake.exit()
        const outcome = await run.outcome
        expect(outcome.kind).toBe('succeeded')
        for (const event of [...run.events.map((one) => one.data), ...run.states, outcome]) {
          expect(everyString(event).every(isStorable)).toBe(true)
        }
        const errors = Buffer.concat(err).toString('utf8')
        const marked = /\[line cut|\[cut: \d+ bytes\]/
        if (!marked.test(textOf(run.events, 'stderr'))) {
          expect(textOf(run.events, 'stderr').replace(/\n+$/, '')).toBe(
            errors.replaceAll('\0', '\uFFFD').replace(/\n+$/, ''),
          )
        }
      }),
      { numRuns: 200 },
    )
  })
})

type Expected = { readonly text: string; readonly bytes: number; readonly cut: boolean; readonly ended: boolean }

function splitPlainly(bytes: Buffer): Expected[] {
  const expected: Expected[] = []
  let at = 0
  while (at < bytes.length) {
    const newline = bytes.indexOf(0x0a, at)
    const end = newline === -1 ? bytes.length : newline
    const piece = bytes.subarray(at, end)
    const bound = /^[ \t]*\{/.test(piece.toString('latin1')) ? MESSAGE_BYTES : LINE_BYTES
    const cut = piece.length > bound
    expected.push({
      text: piece.toString('utf8'),
      bytes: cut ? bound : piece.length,
      cut,
      ended: cut || newline !== -1,
    })
    at = end + 1
  }
  return expected
}

function everyString(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => [key, ...everyString(item)])
}
