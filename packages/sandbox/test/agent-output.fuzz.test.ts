import { setImmediate as nextTurn } from 'node:timers/promises'
import { isStorable } from '@muster/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLineSplitter, type Line } from '../src/line-splitter.ts'
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
          const lines: Line[] = []
          let at = 0
          for (const size of cuts) {
            lines.push(...splitter.push(bytes.subarray(at, at + size)))
            at += size
          }
          lines.push(...splitter.push(bytes.subarray(at)), ...splitter.end())
          const expected = bytes.length === 0 ? [] : splitPlainly(bytes)
          for (const line of lines.filter(({ isTail }) => isTail === undefined)) {
            const parts = expected.splice(0, line.cut ? 1 : line.text.split('\n').length)
            expect({ bytes: line.bytes, cut: line.cut, ended: line.ended }).toEqual({
              bytes: parts.reduce((sum, part) => sum + part.bytes, parts.length - 1),
              cut: parts.some((part) => part.cut),
              ended: parts.every((part) => part.ended),
            })
            if (!line.cut) expect(line.text).toBe(parts.map((part) => part.text).join('\n'))
            if (parts.length > 1) expect(line.bytes).toBeLessThanOrEqual(LINE_BYTES)
            if (parts.length > 1) expect(parts.some((part) => part.text.trimStart().startsWith('{'))).toBe(false)
          }
          expect(expected).toEqual([])
        },
      ),
      { numRuns: 500 },
    )
  })

  it.each(['x\n', 'a{\n', '\n'])('plain lines, be they as short as %j, are not taken apart', (line) => {
    const splitter = createLineSplitter({ lineBytes: 65_536, messageBytes: 1_048_576 })
    const chunk = Buffer.from(line.repeat(30_000))
    for (let round = 0; round < 10; round += 1) expect(splitter.push(chunk).length).toBeLessThan(4)
  })

  it('what comes after the cut makes no event, but a result still counts', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { streamBytes: 1024 })
    fake.stdout.write('x\n'.repeat(100_000))
    fake.stdout.write('{"type":"result","output":7}\n')
    fake.exit()
    expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: 7 })
    expect(run.events).toEqual([expect.objectContaining({ data: expect.objectContaining({ stream: 'stdout' }) })])
  })

  it('messages are paced though they are kept no more, and so is what only looks like one', async () => {
    for (const unit of ['{"type":"log","text":""}\n', '{"type":"no such message"}\n', '{"type"}\n']) {
      const fake = fakeProcess()
      const run = runKept(fake.process, { streamBytes: 10, eventsPerSecond: 100 })
      fake.stdout.write(unit.repeat(500))
      while (!textOf(run.events, 'agent').includes('[slowed down')) await nextTurn()
      fake.exit()
      await run.outcome
    }
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
