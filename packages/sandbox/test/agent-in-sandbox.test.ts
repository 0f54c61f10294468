import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBubblewrap, createNone } from '../src/index.ts'
import { runKept, textOf } from './agent-run.ts'
import { eventually, makePlace, makeSpec, startedProcess } from './place.ts'

const AGENT = `
import { createInterface } from 'node:readline'
const say = (message) => console.log(JSON.stringify(message))
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line)
  if (message.type === 'start') {
    say({ type: 'message', text: 'got: ' + message.message })
    say({ type: 'snapshot', state: { step: 1 } })
  }
  if (message.type === 'snapshot_saved') say({ type: 'progress', text: 'saved ' + message.seq })
  if (message.type === 'input') say({ type: 'result', output: { echoed: message.message } })
  if (message.type === 'cancel') { say({ type: 'log', text: 'bye: ' + message.reason }); process.exit(0) }
}`

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** What this process still holds once garbage is gone. */
function heldBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe.each([
  ['bubblewrap', createBubblewrap],
  ['none', createNone],
])('an agent in %s', { timeout: 30_000 }, (_name, create) => {
  const place = makePlace()
  const sandbox = create({ cacheRoot: join(place.root, 'cache') })
  const start = async (over: Parameters<typeof makeSpec>[0]) => startedProcess(await sandbox.start(makeSpec(over)))
  const node = { command: ['node', '/agent/agent.mjs'], files: { 'agent.mjs': AGENT } }

  beforeAll(async () => {
    expect(await sandbox.probe()).toMatchObject({ kind: 'usable' })
  })
  afterAll(() => place.remove())

  it('talks both ways: start, snapshot, input, result', async () => {
    const run = runKept(await start(node))
    await eventually(() => run.events.some((event) => event.data['text'] === 'saved 1'), 'the snapshot is saved')
    await run.write({ type: 'input', id: 'i', mode: 'steer', message: 'ü' })
    expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: { echoed: 'ü' } })
    expect(run.states).toEqual([{ step: 1 }])
    expect(run.events[0]).toEqual({ type: 'agent.message', data: { text: 'got: do it' } })
  })

  it('reads whole lines, whatever characters are in what it is told', async () => {
    const ends = 'a\u2028b\u2029c'
    const run = runKept(await start(node))
    await eventually(() => run.events.some((event) => event.data['text'] === 'saved 1'), 'it runs')
    await run.write({ type: 'input', id: 'i', mode: 'steer', message: ends })
    expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: { echoed: ends } })
    const other = runKept(await start(node))
    await eventually(() => other.events.length > 0, 'it runs')
    await other.cancel(ends, 20_000)
    expect(await other.outcome).toMatchObject({ kind: 'stopped', exitCode: 0 })
    expect(textOf(other.events, 'agent')).toBe(`bye: ${ends}`)
  })

  it('ends in its own way when it is cancelled in time', async () => {
    const run = runKept(await start(node))
    await eventually(() => run.events.length > 0, 'it runs')
    await run.cancel('timed_out', 20_000)
    expect(await run.outcome).toMatchObject({ kind: 'stopped', reason: 'timed_out', exitCode: 0 })
    expect(textOf(run.events, 'agent')).toBe('bye: timed_out')
  })

  it('may be any program: its text is the output', async () => {
    const run = runKept(await start({ command: ['echo', 'hello'] }))
    expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: 'hello' })
  })

  it('that closes stdin, or never reads it, harms nobody', async () => {
    const run = runKept(await start({ command: ['sh', '-c', 'exec 0<&-; echo closed; sleep 1000'] }))
    await eventually(() => run.events.length > 0, 'it closed stdin')
    const writes = Array.from({ length: 50 }, () =>
      run.write({ type: 'input', id: 'i', mode: 'm', message: 'x'.repeat(100_000) }),
    )
    await run.stop()
    expect((await run.outcome).kind).toBe('stopped')
    expect(new Set(await Promise.all(writes)).has('closed')).toBe(true)
  })

  it('that floods is bounded in memory and in what is kept, and visibly so', async () => {
    const flood = `const line = 'x'.repeat(1000) + '\\n'; for (let n = 0; n < 150_000; n += 1) process.stdout.write(line) || await new Promise((go) => process.stdout.once('drain', go))`
    const before = heldBytes()
    const run = runKept(await start({ command: ['node', '/agent/a.mjs'], files: { 'a.mjs': flood } }))
    const outcome = await run.outcome
    expect(outcome).toMatchObject({ kind: 'succeeded', outputTruncated: true })
    const kept = run.events.reduce((sum, event) => sum + JSON.stringify(event).length, 0)
    expect(kept).toBeLessThan(10 * 1024 * 1024)
    expect(textOf(run.events, 'stdout').slice(-200)).toContain('[output cut: stdout exceeds 8388608 bytes')
    // What is let go of is given back by another thread, a moment later.
    await eventually(() => heldBytes() - before < 40 * 1024 * 1024, 'no more is held than is kept')
  })

  it('whose command does not exist fails with words that say so', async () => {
    const outcome = await runKept(await start({ command: ['no-such-command'] })).outcome
    expect(outcome).toMatchObject({ kind: 'failed', failure: { code: 'agent_exit' }, exitCode: 127 })
    expect(outcome.kind === 'failed' && outcome.failure.message).toContain('no-such-command')
  })
})
