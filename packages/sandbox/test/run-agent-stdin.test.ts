import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { runAgent } from '../src/index.ts'
import { createStdinWriter } from '../src/stdin-writer.ts'
import { START } from './agent-run.ts'
import { fakeProcess } from './fake-process.ts'

const ENDS = 'a\u2028b\u2029c\u0085d\r\ne'

it('every message to an agent is one line, also to readers that take U+2028 and U+2029 for ends of lines', async () => {
  const fake = fakeProcess()
  const stdin = new PassThrough({ encoding: 'utf8' })
  let written = ''
  stdin.on('data', (text: string) => {
    written += text
  })
  const lines: string[] = []
  const reader = createInterface({ input: stdin })
  reader.on('line', (text) => lines.push(text))
  const ended = once(reader, 'close')
  const start = { ...START, message: ENDS, state: { [ENDS]: [ENDS] } }
  const run = runAgent({
    process: {
      ...fake.process,
      stdin: createStdinWriter(stdin),
    },
    start,
    onEvents: async () => [],
  })
  const input = { type: 'input', id: 'i', mode: 'steer', message: ENDS } as const
  await run.write(input)
  void run.cancel(ENDS, 60_000)
  fake.exit()
  await run.outcome
  await ended
  // Not every version of Node's reader does.
  expect(written).not.toMatch(/[\u2028\u2029]/)
  expect(lines.map((text) => JSON.parse(text))).toEqual([
    start,
    input,
    { type: 'cancel', reason: ENDS, grace_ms: 60_000 },
  ])
})
