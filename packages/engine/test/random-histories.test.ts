import { randomFrom, seed, sized } from '@muster/testkit'
import { expect, test } from 'vitest'
import { playHistory } from './random-history.ts'

const HISTORIES = sized({ test: 4, prove: 40 })
const STEPS = sized({ test: 150, prove: 400 })

const start = seed()
const random = randomFrom(start)

test.for(Array.from({ length: HISTORIES }, () => Math.floor(random() * 2 ** 31)))(
  'history %i: whatever fails when, one owner writes, limits hold, sessions keep their order and every run ends once',
  { timeout: 120_000 },
  async (historySeed) => {
    const { faults, trail, runs } = await playHistory(historySeed, STEPS)
    expect(faults, `after ${runs} runs:\n${trail.slice(-80).join('\n')}`).toEqual([])
  },
)
