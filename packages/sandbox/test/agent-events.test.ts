import { describe, expect, it } from 'vitest'
import { runKept, textOf } from './agent-run.ts'
import { fakeProcess } from './fake-process.ts'

const line = (message: unknown) => `${JSON.stringify(message)}\n`
const NO_USAGE = { input_tokens: 0, output_tokens: 0, cost_usd: 0, by_model: [] }

describe('the events of an agent', () => {
  it('keep the order of messages and lines, neighbouring lines as one', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(
      `a\nb\n${line({ type: 'message', text: 'm' })}c\n${line({ type: 'delta', text: 'd' })}${line({ type: 'log', text: 'l' })}${line({ type: 'progress', percent: 50 })}${line({ type: 'tool_call', id: '1', name: 't', input: { x: 1 } })}${line({ type: 'tool_result', id: '1', output: [1], error: 'e' })}${line({ type: 'usage', model: 'm', input_tokens: 1 })}${line({ type: 'input_consumed', id: 'inp' })}${line({ type: 'log', text: 1 })}no newline`,
    )
    fake.exit()
    await run.outcome
    expect(run.events).toEqual([
      { type: 'agent.log', data: { stream: 'stdout', text: 'a\nb' } },
      { type: 'agent.message', data: { text: 'm' } },
      { type: 'agent.log', data: { stream: 'stdout', text: 'c' } },
      { type: 'agent.delta', data: { text: 'd' } },
      { type: 'agent.log', data: { stream: 'agent', text: 'l' } },
      { type: 'agent.progress', data: { percent: 50 } },
      { type: 'agent.tool_call', data: { id: '1', name: 't', input: { x: 1 } } },
      { type: 'agent.tool_result', data: { id: '1', output: [1], error: 'e' } },
      { type: 'agent.usage', data: { model: 'm', input_tokens: 1 } },
      { type: 'agent.log', data: { stream: 'stdout', text: '{"type":"log","text":1}' } },
      { type: 'agent.log', data: { stream: 'stdout', text: 'no newline' } },
    ])
  })

  it('hold nothing that Postgres cannot hold', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(Buffer.from([0x61, 0x00, 0xff, 0xfe, 0x0a]))
    fake.stdout.write(
      `{"type":"tool_call","id":"\\ud800","name":"\\u0000","input":{"k\\u0000\\udc00":["\\ud83d"],"__proto__":{"x":"\\u0000"}}}\n`,
    )
    fake.stdout.write(`{"type":"result","output":"\\ud800ok\\u0000"}\n`)
    fake.stderr.write(Buffer.from([0xc3, 0x0a]))
    fake.exit()
    expect(await run.outcome).toMatchObject({ output: '\uFFFDok\uFFFD' })
    expect(textOf(run.events, 'stdout')).toBe('a\uFFFD\uFFFD\uFFFD')
    expect(textOf(run.events, 'stderr')).toBe('\uFFFD')
    const call = run.events.find((event) => event.type === 'agent.tool_call')
    expect(JSON.stringify(call?.data)).toBe(
      '{"id":"\uFFFD","name":"\uFFFD","input":{"k\uFFFD\uFFFD":["\uFFFD"],"__proto__":{"x":"\uFFFD"}}}',
    )
  })

  it('survive hostile JSON: nested beyond reason, wrong types, huge numbers', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(`{"type":"snapshot","state":${'['.repeat(100_000)}${']'.repeat(100_000)}}\n`)
    fake.stdout.write(`{"type":"message","text":"\\u0000","x":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}\n`)
    fake.stdout.write(
      '{"type":["result"],"output":1}\n{"type":"usage","cost_usd":1e400}\n{"type":"usage","input_tokens":1e300}\n',
    )
    fake.stdout.write('null\n[]\n{\n{"type":"constructor"}\n{"type":"__proto__"}\n')
    fake.exit()
    const outcome = await run.outcome
    expect(outcome.kind).toBe('succeeded')
    expect(outcome.usage).toEqual(NO_USAGE)
  })

  it('are cut visibly where a line is too long, and the rest of it is gone', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { lineBytes: 8 })
    fake.stdout.write('12345678\n123456789abc')
    fake.stdout.write('def\nnext\n')
    fake.exit()
    const outcome = await run.outcome
    const text = '12345678\n12345678 … [line cut at 8 bytes]\nnext'
    expect(textOf(run.events, 'stdout')).toBe(text)
    expect(outcome).toMatchObject({ output: text, outputTruncated: true })
  })

  it('are cut once and visibly where a pipe exceeds its bound; what matters is still heard', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { streamBytes: 1000 })
    for (let count = 0; count < 50; count += 1) fake.stdout.write(line({ type: 'message', text: 'x'.repeat(80) }))
    fake.stdout.write(line({ type: 'usage', input_tokens: 7 }))
    fake.stdout.write(line({ type: 'result', output: 'done' }))
    fake.stderr.write('still heard\n')
    fake.exit()
    const outcome = await run.outcome
    expect(outcome).toMatchObject({ kind: 'succeeded', output: 'done', usage: { input_tokens: 7 } })
    expect(run.events.filter((event) => event.type === 'agent.message').length).toBeLessThan(10)
    expect(textOf(run.events, 'stdout')).toBe('[output cut: stdout exceeds 1000 bytes, nothing after this is kept]')
    expect(textOf(run.events, 'stderr')).toBe('still heard')
  })

  it('are bounded in size each, field by field', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { eventBytes: 300 })
    fake.stdout.write(line({ type: 'tool_call', id: 'short', name: 'n', input: { big: 'ü\n'.repeat(500) } }))
    fake.exit()
    await run.outcome
    const data = run.events[0]?.data
    expect(data).toMatchObject({ id: 'short', name: 'n' })
    expect(data?.['input']).toMatch(/^\{"big":"ü.* … \[cut: \d+ bytes\]$/)
    expect(JSON.stringify(data).length).toBeLessThan(400)
  })

  it('tell that collected text was cut', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { outputBytes: 10 })
    fake.stdout.write('12345\n1234é67\nmore\n')
    fake.exit()
    expect(await run.outcome).toMatchObject({
      output: '12345\n1234\n[output cut: longer than 10 bytes]',
      outputTruncated: true,
    })
  })

  it('fail the run rather than take half a result', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { messageBytes: 100 })
    fake.stdout.write(line({ type: 'result', output: 'x'.repeat(200) }))
    expect(await run.outcome).toMatchObject({
      kind: 'failed',
      failure: { code: 'output_limit_exceeded', retryable: false },
    })
  })
})
