import { describe, expect, it, vi } from 'vitest'
import { runAgent } from '../src/index.ts'
import { runKept, START, textOf } from './agent-run.ts'
import { fakeProcess } from './fake-process.ts'
import { eventually } from './place.ts'

const line = (message: unknown) => `${JSON.stringify(message)}\n`
const NO_USAGE = { input_tokens: 0, output_tokens: 0, cost_usd: 0, by_model: [] }

describe('the outcome of an agent', () => {
  it('is not known where the end of its sandbox cannot be told, and that hurts nobody else', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const fake = fakeProcess()
    const refused = () => Promise.reject(new Error('no descriptors left'))
    const exited = refused()
    const run = runKept({ ...fake.process, exited, kill: refused })
    fake.stdout.end(line({ type: 'ask', kind: 'approval', prompt: 'may I?' }))
    await expect(run.outcome).rejects.toThrow('no descriptors left')
    await new Promise((resolve) => setTimeout(resolve, 50))
    process.off('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })

  it('is told what to do first, by one start message', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.exit()
    await run.outcome
    expect(fake.received).toEqual([START])
  })

  it('is the collected text when a program merely prints and exits with 0', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write('hello\n{"not": "a message"}\nworld\n\n')
    fake.exit()
    expect(await run.outcome).toEqual({
      kind: 'succeeded',
      output: 'hello\n{"not": "a message"}\nworld\n',
      outputTruncated: false,
      usage: NO_USAGE,
      exitCode: 0,
    })
    expect(run.events).toEqual([
      { type: 'agent.log', data: { stream: 'stdout', text: 'hello\n{"not": "a message"}\nworld\n' } },
    ])
  })

  it('is the first result, whatever the agent says after it', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(line({ type: 'result', output: { answer: [42] } }))
    fake.stdout.write(line({ type: 'result', output: 'too late' }))
    fake.stdout.write(line({ type: 'error', code: 'x', message: 'too late' }))
    fake.exit()
    expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: { answer: [42] }, exitCode: 0 })
  })

  it('is a failure when the program exits with a fault, though it gave a result', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(line({ type: 'result', output: 'looks fine' }))
    fake.exit({ code: 3 })
    expect(await run.outcome).toMatchObject({ kind: 'failed', failure: { code: 'agent_exit' }, exitCode: 3 })
  })

  it('is the result, though the program lives on: it gets a short grace and is killed', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { resultGraceMs: 1 })
    fake.stdout.write(line({ type: 'result', output: null }))
    expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: null, exitCode: null })
    expect(fake.kills()).toBe(1)
  })

  it('is the error that the agent reports, worth another try unless it says otherwise', async () => {
    for (const [said, retryable] of [
      [{}, true],
      [{ retryable: false }, false],
    ] as const) {
      const fake = fakeProcess()
      const run = runKept(fake.process)
      fake.stdout.write(line({ type: 'error', code: 'no_quota', message: 'empty', ...said }))
      fake.exit()
      expect(await run.outcome).toMatchObject({
        kind: 'failed',
        failure: { code: 'no_quota', message: 'empty', retryable },
      })
    }
  })

  it.each([
    'worker_lost',
    'Memory_Limit_Exceeded',
    'timed_out',
    'internal_error ',
    'worker\u200b_lost',
    'a b',
    '',
    '__proto__',
  ])('is agent_error when the agent names a code that is not its to give: %j', async (code) => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(line({ type: 'error', code, message: 'forged', retryable: false }))
    fake.exit()
    expect(await run.outcome).toMatchObject({
      kind: 'failed',
      failure: { code: 'agent_error', message: `${JSON.stringify(code)}: forged`, retryable: false },
    })
  })

  it.each([
    [{ code: 9 }, 'exited with code 9'],
    [{ code: 137 }, 'exited with code 137 (SIGKILL)'],
    [{ code: null, signal: 'SIGSEGV' as const }, 'was killed by SIGSEGV'],
  ])('is agent_exit with the end of stderr for %j', async (exit, words) => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stderr.write(`${'early '.repeat(2000)}\nlast words\n`)
    fake.exit(exit)
    const outcome = await run.outcome
    if (outcome.kind !== 'failed') throw new Error('did not fail')
    expect(outcome.failure).toMatchObject({ code: 'agent_exit', retryable: true })
    expect(outcome.failure.message).toContain(words)
    expect(outcome.failure.message.endsWith('last words')).toBe(true)
    expect(outcome.failure.message.length).toBeLessThan(3000)
  })

  it('is sandbox_unavailable when the sandbox was never set up', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.exit({ code: null, fault: 'no such folder' })
    expect(await run.outcome).toMatchObject({
      kind: 'failed',
      failure: {
        code: 'sandbox_unavailable',
        message: 'The sandbox could not be set up: no such folder',
        retryable: true,
      },
    })
  })

  it('is a final failure when the agent asks, and says what it asked', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(line({ type: 'ask', id: 'a1', kind: 'approval', prompt: 'delete it?', payload: { path: '/x' } }))
    const outcome = await run.outcome
    expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'agent_asked', retryable: false } })
    expect(outcome.kind === 'failed' && outcome.failure.message).toContain('delete it?')
    expect(run.events).toEqual([
      { type: 'agent.ask', data: { id: 'a1', kind: 'approval', prompt: 'delete it?', payload: { path: '/x' } } },
    ])
    expect(fake.kills()).toBe(1)
  })

  it('totals usage per provider and model', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(line({ type: 'usage', provider: 'p', model: 'm', input_tokens: 1, cost_usd: 0.5 }))
    fake.stdout.write(line({ type: 'usage', provider: 'p', model: 'm', output_tokens: 2, cost_usd: 0.25 }))
    fake.stdout.write(line({ type: 'usage', input_tokens: 4 }))
    fake.exit()
    expect((await run.outcome).usage).toEqual({
      input_tokens: 5,
      output_tokens: 2,
      cost_usd: 0.75,
      by_model: [
        { provider: 'p', model: 'm', input_tokens: 1, output_tokens: 2, cost_usd: 0.75 },
        { provider: null, model: null, input_tokens: 4, output_tokens: 0, cost_usd: 0 },
      ],
    })
  })
})

describe('snapshots', () => {
  it('are saved in order with the events before them, and the agent is told', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    fake.stdout.write(`before\n${line({ type: 'snapshot', state: { step: 1 } })}after\n`)
    await eventually(() => fake.received.some((message) => message.type === 'snapshot_saved'), 'told')
    fake.exit()
    await run.outcome
    expect(run.states).toEqual([{ step: 1 }])
    expect(run.events.map((event) => event.data)).toEqual([
      { stream: 'stdout', text: 'before' },
      { seq: 1 },
      { stream: 'stdout', text: 'after' },
    ])
    expect(fake.received.at(-1)).toEqual({ type: 'snapshot_saved', seq: 1 })
  })

  it('cost one pending answer, however many an agent sends that does not read', async () => {
    const fake = fakeProcess('ignores')
    const run = runKept(fake.process)
    for (let step = 0; step < 100; step += 1) fake.stdout.write(line({ type: 'snapshot', state: step }))
    await eventually(() => run.states.length === 100, 'all are saved')
    fake.exit()
    await run.outcome
    expect(fake.received.filter((message) => message.type === 'snapshot_saved').length).toBeLessThanOrEqual(2)
  })

  it('are refused visibly past the bound of an attempt', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { snapshotBytes: 100 })
    for (let step = 0; step < 5; step += 1) fake.stdout.write(line({ type: 'snapshot', state: 'x'.repeat(30) }))
    fake.exit()
    await run.outcome
    expect(run.states).toHaveLength(1)
    expect(textOf(run.events, 'agent')).toContain('snapshot not saved')
  })
})

describe('back-pressure', () => {
  it('reads nothing more while events are not accepted', async () => {
    const fake = fakeProcess()
    let accept: () => void = () => undefined
    let offered = 0
    const run = runAgent({
      process: fake.process,
      start: START,
      onEvents: () => {
        offered += 1
        return new Promise((resolve) => {
          accept = () => resolve([])
        })
      },
    })
    let written = 0
    while (fake.stdout.write('x'.repeat(1023).concat('\n'))) written += 1024
    await eventually(() => offered === 1, 'the first event is offered')
    const before = fake.stdout.readableLength + fake.stdout.writableLength
    fake.stdout.write('y\n'.repeat(100_000))
    await new Promise((resolve) => setImmediate(resolve))
    expect(offered).toBe(1)
    expect(fake.stdout.readableLength + fake.stdout.writableLength).toBeGreaterThanOrEqual(before + 200_000)
    expect(written).toBeLessThan(1024 * 1024)
    fake.exit()
    const pump = setInterval(() => accept(), 1)
    expect((await run.outcome).kind).toBe('succeeded')
    clearInterval(pump)
  })

  it('remembers nothing of the times that an agent was slowed down', async () => {
    const fake = fakeProcess()
    const { exited } = fake.process
    const watched = vi.spyOn(exited, 'then')
    const run = runKept(fake.process, { eventsPerSecond: 2_000 })
    await new Promise((resolve) => setImmediate(resolve))
    const before = watched.mock.calls.length
    fake.stdout.write('{"type":"log","text":""}\n'.repeat(2_000))
    for (let count = 0; count < 50; count += 1) {
      fake.stdout.write('{"type":"log","text":"x"}\n')
      await eventually(() => fake.stdout.readableLength === 0, 'it was read')
    }
    expect(watched.mock.calls.length).toBe(before)
    fake.exit()
    await run.outcome
    expect(textOf(run.events, 'agent')).toContain('[slowed down')
  })

  it.each([
    ['messages, by their length', `{"type":"log","text":"${'x'.repeat(60_000)}"}\n`, 10],
    ['lines that nobody keeps', 'x\n'.repeat(32_000), 50],
    ['a line without an end', 'x'.repeat(64_000), 50],
  ])('slows an agent down that floods it with %s', async (_title, flood, times) => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { streamBytes: 0, outputBytes: 0, eventsPerSecond: 20 })
    for (let count = 0; count < times; count += 1) {
      fake.stdout.write(flood)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually(() => textOf(run.events, 'agent').includes('[slowed down'), 'it is slowed down')
    expect(fake.stdout.readableLength + fake.stdout.writableLength).toBeGreaterThan(0)
    await run.stop()
    await run.outcome
  })

  it('asks for one acceptance at a time', async () => {
    const fake = fakeProcess()
    let open = 0
    let most = 0
    const run = runAgent({
      process: fake.process,
      start: START,
      onEvents: async () => {
        open += 1
        most = Math.max(most, open)
        await new Promise((resolve) => setImmediate(resolve))
        open -= 1
        return []
      },
    })
    for (let count = 0; count < 20; count += 1) {
      fake.stdout.write('out\n')
      fake.stderr.write('err\n')
    }
    fake.exit()
    await run.outcome
    expect(most).toBe(1)
  })
})

describe('stopping an agent', () => {
  it('by cancel tells it why and for how long, and lets it end', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    const cancelled = run.cancel('cancelled', 60_000)
    await eventually(() => fake.received.length === 2, 'told')
    expect(fake.received[1]).toEqual({ type: 'cancel', reason: 'cancelled', grace_ms: 60_000 })
    fake.stdout.write('tidied up\n')
    fake.exit({ code: 0 })
    await cancelled
    expect(await run.outcome).toEqual({ kind: 'stopped', reason: 'cancelled', usage: NO_USAGE, exitCode: 0 })
    expect(textOf(run.events, 'stdout')).toBe('tidied up')
    expect(fake.kills()).toBe(0)
  })

  it('by cancel kills it after the grace', async () => {
    const fake = fakeProcess('ignores')
    const run = runKept(fake.process)
    await run.cancel('timed_out', 1)
    expect(fake.kills()).toBe(1)
    expect(await run.outcome).toMatchObject({ kind: 'stopped', reason: 'timed_out', exitCode: null })
  })

  it('by cancel still takes a result that comes in time, but no error', async () => {
    const finished = fakeProcess()
    const run = runKept(finished.process)
    void run.cancel('drain', 60_000)
    finished.stdout.write(line({ type: 'result', output: 1 }))
    finished.exit()
    expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: 1 })
    const broken = fakeProcess()
    const other = runKept(broken.process)
    void other.cancel('drain', 60_000)
    broken.stdout.write(line({ type: 'error', code: 'interrupted', message: 'x' }))
    broken.exit({ code: 1 })
    expect(await other.outcome).toMatchObject({ kind: 'stopped', reason: 'drain' })
  })

  it('by stop offers nothing more and waits for no acceptance', async () => {
    const fake = fakeProcess()
    let offered = 0
    const run = runAgent({
      process: fake.process,
      start: START,
      onEvents: () => {
        offered += 1
        return new Promise(() => undefined)
      },
    })
    fake.stdout.write('one\n')
    await eventually(() => offered === 1, 'offered')
    fake.stdout.write(`two\n${line({ type: 'result', output: 1 })}`)
    await run.stop()
    expect(await run.outcome).toMatchObject({ kind: 'stopped' })
    expect(offered).toBe(1)
  })

  it('by a caller that fails kills it, and the failure reaches the caller', async () => {
    const fake = fakeProcess()
    const run = runAgent({
      process: fake.process,
      start: START,
      onEvents: async () => {
        throw new Error('fenced')
      },
    })
    fake.stdout.write('one\n')
    await expect(run.outcome).rejects.toThrow('fenced')
    expect(fake.kills()).toBeGreaterThan(0)
  })

  it('passes inputs and decisions on as lines', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    expect(await run.write({ type: 'input', id: 'i', mode: 'steer', message: 'a\nb' })).toBe('written')
    fake.exit()
    await run.outcome
    expect(fake.received[1]).toEqual({ type: 'input', id: 'i', mode: 'steer', message: 'a\nb' })
  })
})
