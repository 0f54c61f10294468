import { isStorable } from '@muster/contracts'
import { describe, expect, it } from 'vitest'
import type { AgentOutcome } from '../src/index.ts'
import { runKept, textOf } from './agent-run.ts'
import { fakeProcess } from './fake-process.ts'

const line = (message: unknown) => `${JSON.stringify(message)}\n`
const BOUNDS = { messageBytes: 1_000 }

/** How an agent ends that writes this, in chunks of so many bytes, and then exits with 0. */
async function outcomeOf(text: string, chunkBytes = 1_000_000): Promise<AgentOutcome> {
  const fake = fakeProcess()
  const run = runKept(fake.process, BOUNDS)
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += chunkBytes) fake.stdout.write(bytes.subarray(at, at + chunkBytes))
  fake.exit()
  return run.outcome
}

describe('a result that is no message of the protocol fails the run and says why', () => {
  it.each([
    ['{"type":"result","output":1e999}', 'output: a number too large to be kept'],
    ['{"output":{"a":[0,-1e999]},"type":"result"}', 'output.a.1: a number too large to be kept'],
    [`{"type":"result","output":${'['.repeat(40)}${']'.repeat(40)}}`, 'nested deeper than 32'],
    ['{"type":"result"}', 'output: '],
    ['{"\\u0074ype":"result"}', 'output: '],
    ['{"type": "result", "output": NaN}', 'it is no JSON: '],
  ])('%s', async (text, reason) => {
    for (const ending of ['\n', '']) {
      const outcome = await outcomeOf(`${text}${ending}`)
      expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'invalid_result', retryable: false } })
      expect(outcome.kind === 'failed' && outcome.failure.message).toContain(
        `The agent gave a result that is no message of the protocol: `,
      )
      expect(outcome.kind === 'failed' && outcome.failure.message).toContain(reason)
    }
  })

  it('in words that are bounded and can be stored', async () => {
    const outcome = await outcomeOf(`{"type":"result","output":{"${'é'.repeat(400)}\\ud800":{"\\u0000":1e999}}}\n`)
    if (outcome.kind !== 'failed') throw new Error('did not fail')
    expect(Buffer.byteLength(outcome.failure.message)).toBeLessThan(1_500)
    expect(isStorable(outcome.failure.message)).toBe(true)
  })

  it('in the place of a later one, and never in that of an earlier one', async () => {
    const bad = '{"type":"result","output":1e999}\n'
    const good = line({ type: 'result', output: 'good' })
    expect(await outcomeOf(bad + good)).toMatchObject({ kind: 'failed', failure: { code: 'invalid_result' } })
    expect(await outcomeOf(good + bad)).toMatchObject({ kind: 'succeeded', output: 'good' })
  })

  it('and is shown as the line that it is', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write('{"type":"result","output":1e999}\n')
    fake.exit()
    await run.outcome
    expect(textOf(run.events, 'stdout')).toBe('{"type":"result","output":1e999}')
  })
})

describe('an error that is no message of the protocol', () => {
  it.each([
    [{ message: 'no code' }, true, 'code: '],
    [{ code: 'x' }, true, 'message: '],
    [{ code: 7, message: 'x', retryable: false }, false, 'code: '],
  ])('fails the run all the same: %j', async (fields, retryable, reason) => {
    const outcome = await outcomeOf(line({ type: 'error', ...fields }))
    expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'agent_error', retryable } })
    expect(outcome.kind === 'failed' && outcome.failure.message).toContain(reason)
  })
})

describe('a last word that is longer than a line may be', () => {
  const long = 'x'.repeat(1_500)
  const barely = (type: string) => {
    const message = { output: '', code: 'c', message: 'm', type }
    return line({ ...message, output: 'x'.repeat(1_001 - JSON.stringify(message).length) })
  }
  it.each([
    ['a result that says so first', line({ type: 'result', output: long }), 'output_limit_exceeded'],
    ['a result that says so last', line({ output: long, type: 'result' }), 'output_limit_exceeded'],
    ['a result that says so before the last', line({ output: [long], type: 'result', id: 1 }), 'output_limit_exceeded'],
    ['a result that is a byte too long', barely('result'), 'output_limit_exceeded'],
    ['a result without a newline', line({ output: long, type: 'result' }).trimEnd(), 'output_limit_exceeded'],
    ['an error', line({ type: 'error', code: 'c', message: long }), 'agent_error'],
    ['an error that says so last', line({ code: 'c', message: long, type: 'error' }), 'agent_error'],
  ])('fails the run: %s', async (_title, text, code) => {
    for (const chunkBytes of [1_000_000, 700, 13, 1]) {
      const outcome = await outcomeOf(text, chunkBytes)
      expect(outcome).toMatchObject({ kind: 'failed', failure: { code } })
      expect(outcome.kind === 'failed' && outcome.failure.message).toContain('longer than a line')
    }
  })

  it('is read in its place', async () => {
    const good = line({ type: 'result', output: 'good' })
    expect(await outcomeOf(line({ output: long, type: 'result' }) + good)).toMatchObject({ kind: 'failed' })
    expect(await outcomeOf(good + line({ output: long, type: 'result' }))).toMatchObject({ output: 'good' })
  })
})

describe('what only resembles a last word stays a log line', () => {
  it.each([
    '{"type":"results","output":1e999}',
    '{"type":["result"],"output":1}',
    '{"kind":{"type":"result","output":1e999}}',
    '{"text":"{\\"type\\":\\"result\\"", x}',
    '[{"type":"result","output":1e999}]',
    'say {"type":"result","output":1e999}',
    `{"type":"log","text":"${'x'.repeat(1_500)}","of":{"type":"result"}}`,
    `{"type":"log","text":"${'x'.repeat(1_500)}\\"type\\":\\"result\\"}"}`,
    `${'x'.repeat(1_500)},"type":"result"}`,
  ])('%s', async (text) => {
    expect(await outcomeOf(`${text}\nlast\n`)).toMatchObject({ kind: 'succeeded' })
  })
})
