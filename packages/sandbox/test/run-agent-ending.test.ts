import { PassThrough, Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { runKept, textOf } from './agent-run.ts'
import { fakeProcess } from './fake-process.ts'
import { eventually } from './place.ts'

const line = (message: unknown) => `${JSON.stringify(message)}\n`
const ACCEPTANCE_MS = 20
const slowly = () => delay(ACCEPTANCE_MS)
const CUT = 'nothing after this is kept]'

/** A full pipe, which at one acceptance a chunk takes 20 s to be read; `last` is in its last chunk. */
function leftBehind(last = ''): Readable {
  const chunk = (_: unknown, at: number) =>
    `line ${at}\n${line({ type: 'snapshot', state: at })}${at === 999 ? last : ''}`
  return Readable.from(Array.from({ length: 1_000 }, chunk).map((text) => Buffer.from(text)))
}

it('snapshots that are read together are accepted together, each in its place among the other events', async () => {
  const fake = fakeProcess()
  let acceptances = 0
  const run = runKept(fake.process, {}, () => {
    acceptances += 1
    return slowly()
  })
  const states = Array.from({ length: 1_000 }, (_, step) => step)
  fake.stdout.write(`before\n${states.map((state) => line({ type: 'snapshot', state })).join('')}after\n`)
  await eventually(() => fake.received.some(({ seq }) => seq === 1_000), 'the last is saved')
  fake.exit()
  expect((await run.outcome).kind).toBe('succeeded')
  expect(run.states).toEqual(states)
  expect(run.events.map((event) => event.data['text'] ?? event.data['seq'])).toEqual([
    'before',
    ...states.map((state) => state + 1),
    'after',
  ])
  expect(acceptances).toBeLessThanOrEqual(2)
})

it('a snapshot is saved though the pipe has exceeded its bound', async () => {
  const fake = fakeProcess()
  const run = runKept(fake.process, { streamBytes: 10 })
  fake.stdout.write(`more than ten bytes\n${line({ type: 'snapshot', state: 'kept' })}`)
  fake.exit()
  await run.outcome
  expect(run.states).toEqual(['kept'])
  expect(textOf(run.events, 'stdout')).toBe(`[output cut: stdout exceeds 10 bytes, ${CUT}`)
})

it('what is left in the pipes is kept for a bounded time after the program ended, and its result counts still', async () => {
  const fake = fakeProcess()
  const stdout = leftBehind(line({ type: 'result', output: 'done' }))
  const run = runKept({ ...fake.process, stdout, stderr: leftBehind() }, { drainMs: 200 }, slowly)
  fake.exit()
  const begun = performance.now()
  expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: 'done', exitCode: 0 })
  expect(performance.now() - begun).toBeLessThan(3_000)
  expect(run.states.length).toBeLessThan(100)
  for (const stream of ['stdout', 'stderr'])
    expect(textOf(run.events, stream).split('\n').at(-1)).toBe(
      `[output cut: ${stream} was not read within 200 ms of the program's end, ${CUT}`,
    )
})

it('nothing is cut where all is read in time', async () => {
  const fake = fakeProcess()
  const run = runKept({ ...fake.process, stdout: leftBehind() })
  fake.exit()
  await run.outcome
  expect(run.states).toHaveLength(1_000)
  expect(textOf(run.events, 'stdout')).not.toContain('cut')
})

it('an agent that is cancelled ends soon, however much it left in its pipes', async () => {
  const fake = fakeProcess('ignores')
  const run = runKept({ ...fake.process, stdout: leftBehind() }, { drainMs: 200 }, slowly)
  const begun = performance.now()
  await run.cancel('cancelled', 1)
  expect(await run.outcome).toMatchObject({ kind: 'stopped', reason: 'cancelled' })
  expect(performance.now() - begun).toBeLessThan(3_000)
  expect(textOf(run.events, 'stdout')).toContain(CUT)
})

it('a pipe that someone outside holds and never stops writing to is given up', async () => {
  const fake = fakeProcess()
  const stdout = new PassThrough()
  const run = runKept({ ...fake.process, stdout }, { drainMs: 200 })
  const writing = setInterval(() => stdout.write('still here\n'), 5)
  fake.exit()
  const ended = await Promise.race([run.outcome, delay(5_000, 'still read')])
  clearInterval(writing)
  stdout.end()
  expect(ended).toMatchObject({ kind: 'succeeded' })
  expect(textOf(run.events, 'stdout')).toContain(CUT)
})

it('a result counts, whatever the agent asks for after it and is killed for', async () => {
  const fake = fakeProcess()
  const run = runKept(fake.process)
  fake.stdout.write(line({ type: 'result', output: 'done' }))
  fake.stdout.write(line({ type: 'ask', kind: 'approval', prompt: 'more?' }))
  expect(await run.outcome).toMatchObject({ kind: 'succeeded', output: 'done' })
  expect(fake.kills()).toBe(1)
})
