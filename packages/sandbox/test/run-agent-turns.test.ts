import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createReadingTurns, timed } from '../src/reading-turns.ts'
import { runKept, textOf } from './agent-run.ts'
import { fakeProcess } from './fake-process.ts'
import { eventually } from './place.ts'

const dense = (values: number) => `{"type":"snapshot","state":[${Array(values).fill('{"a":[]}').join(',')}]}\n`

function busy(ms: number): void {
  let used = 0
  while (used < ms)
    used += timed(() => {
      for (let count = 0; count < 10_000; count += 1) Math.sqrt(count)
    })
}

describe('the turns of agents', () => {
  it('come one a turn of the loop for works that take long, and leave time between them', async () => {
    const turns = createReadingTurns({ turnMs: 0, restFactor: 3 })
    let done = 0
    let most = 0
    const works = Array.from({ length: 5 }, () =>
      turns.take(0, () => {
        busy(10)
        done += 1
      }),
    )
    const begun = performance.now()
    while (done < works.length) {
      const before = done
      await nextTurn()
      most = Math.max(most, done - before)
    }
    expect(most).toBe(1)
    expect(performance.now() - begun).toBeGreaterThan(4 * 10 + 4 * 30 - 10)
    for (const ms of await Promise.all(works)) expect(ms).toBeGreaterThanOrEqual(10)
  })

  it('are shared by works that take little', async () => {
    const turns = createReadingTurns({ turnMs: 1_000, restFactor: 0 })
    const done: number[] = []
    const works = Array.from({ length: 50 }, (_, at) => turns.take(0, () => done.push(at)))
    expect(done).toEqual([])
    await nextTurn()
    await nextTurn()
    expect(done).toHaveLength(50)
    await Promise.all(works)
  })

  it('come first to those that took least so far', async () => {
    const turns = createReadingTurns({ turnMs: 0, restFactor: 0 })
    const order: number[] = []
    const used = [30, 10, 20, 10]
    const works = used.map((ms, at) => turns.take(ms, () => order.push(at)))
    await Promise.all(works)
    expect(order).toEqual([1, 3, 2, 0])
  })

  it('come though a work before fails, which is told to who asked for it', async () => {
    const turns = createReadingTurns({ turnMs: 0, restFactor: 0 })
    const failing = turns.take(0, () => {
      throw new Error('broken')
    })
    const next = turns.take(0, () => undefined)
    await expect(failing).rejects.toThrow('broken')
    expect(await next).toBeGreaterThanOrEqual(0)
  })
})

describe('lines that take long to be read', () => {
  it('slow their agent down, visibly, however few and short they are', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { readMsPerSecond: 1 })
    for (let count = 0; count < 3; count += 1) {
      fake.stdout.write(dense(15_000))
      await nextTurn()
    }
    const slowed = '[slowed down: what it says takes more than 1 ms a second to be read]'
    await eventually(() => textOf(run.events, 'agent') === slowed, 'it is slowed down')
    await nextTurn()
    expect(run.states).toHaveLength(1)
    expect(fake.stdout.readableLength + fake.stdout.writableLength).toBeGreaterThan(0)
    fake.exit()
    await run.outcome
    expect(run.states).toHaveLength(3)
  })

  it('of many agents come in turns, so that another is heard between them', async () => {
    const crowd = Array.from({ length: 12 }, () => fakeProcess())
    const runs = crowd.map((fake) => runKept(fake.process, { drainMs: 60_000 }))
    const honest = fakeProcess()
    let readBefore = Number.NaN
    const echo = runKept(honest.process, {}, async () => {
      readBefore = runs.filter((run) => run.states.length > 0).length
    })
    await nextTurn()
    for (const fake of crowd) fake.stdout.write(dense(60_000))
    honest.stdout.write('{"type":"delta","text":"x"}\n')
    await eventually(() => echo.events.length === 1, 'it is heard')
    expect(readBefore).toBeLessThan(3)
    for (const fake of [...crowd, honest]) fake.exit()
    const outcomes = await Promise.all([...runs, echo].map((run) => run.outcome))
    expect(outcomes.every(({ kind }) => kind === 'succeeded')).toBe(true)
    expect(runs.every((run) => run.states.length === 1)).toBe(true)
  })

  it('keep their place among the lines around them', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process)
    const long = (name: string) => `{"type":"message","text":"${name}${'x'.repeat(70_000)}"}\n`
    fake.stdout.write(`a\n${long('b')}c\n{"type":"message","text":"d"}\n${long('e')}f\n`)
    fake.exit()
    expect(await run.outcome).toMatchObject({ output: 'a\nc\nf' })
    expect(run.events.map(({ data }) => String(data['text'])[0])).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })
})
