import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createPace } from '../src/pace.ts'
import { runKept, textOf } from './agent-run.ts'
import { fakeProcess } from './fake-process.ts'

describe('the pace of events', () => {
  it('is a second of them at once, and then so many a second', () => {
    let now = 0
    const pace = createPace(100, () => now)
    expect(pace.spend(100)).toBe(0)
    expect(pace.spend(50)).toBe(500)
    now = 500
    expect(pace.spend(0)).toBe(0)
    now = 60_000
    expect(pace.spend(100)).toBe(0)
    expect(pace.spend(1)).toBeGreaterThan(0)
  })

  it('slows an agent down visibly, once, and loses nothing of what it said', async () => {
    const fake = fakeProcess()
    const run = runKept(fake.process, { eventsPerSecond: 10 })
    const line = (n: number) => `${JSON.stringify({ type: 'delta', text: `${n} ` })}\n`
    fake.stdout.write(Array.from({ length: 30 }, (_, n) => line(n)).join(''))
    await nextTurn()
    fake.stdout.write(line(30))
    while (run.events.length < 31) await nextTurn()
    // It waits, and is let go of when the agent ends.
    fake.exit()
    expect(await run.outcome).toMatchObject({ kind: 'succeeded' })
    expect(run.events.filter((event) => event.type === 'agent.delta')).toHaveLength(31)
    expect(textOf(run.events, 'agent')).toBe('[slowed down: more than 10 events a second]')
  })
})
