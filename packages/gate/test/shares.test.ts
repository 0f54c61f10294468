import { sized } from '@muster/testkit'
import { expect, test } from 'vitest'
import { type BusyTenant, jain, playSlotSeconds } from './slot-seconds.ts'

/* Numbers in [0, 1) that are the same in every run of the test. */
const numbersFrom = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}
const random = numbersFrom(1)
const spread = (from: number, to: number) => () => from + (to - from) * random()
const exponential = (mean: number) => () => -mean * Math.log(1 - random())

/* Even, narrow, wide, with rare long ones, and long; in milliseconds. */
const LENGTHS = [
  () => 1000,
  spread(1000, 3000),
  exponential(4000),
  () => (random() < 0.9 ? 1000 : 20_000),
  spread(10_000, 20_000),
]
const LONGEST_S = 20
const tenant = (index: number, weight: number): BusyTenant => ({
  name: `busy${index}`,
  weight,
  lastsMs: LENGTHS[index % LENGTHS.length] ?? (() => 1000),
})

test.each(sized({ test: [8], prove: [8, 40] }))(
  '20 tenants with five kinds of run lengths hold %i slots evenly: Jain >= 0.98',
  { timeout: 600_000 },
  async (slots) => {
    const tenants = Array.from({ length: 20 }, (_, index) => tenant(index, 1))
    const held = await playSlotSeconds(tenants, slots, 50 * LONGEST_S)
    expect(held.reduce((sum, seconds) => sum + seconds, 0)).toBeCloseTo(slots * 50 * LONGEST_S, 3)
    expect(jain(held)).toBeGreaterThanOrEqual(0.98)
  },
)

test.each(sized({ test: [7], prove: [5, 7, 40] }))(
  'tenants of weight 1, 2 and 4 hold %i slots as 1:2:4 within 5 %, whatever their runs last',
  { timeout: 600_000 },
  async (slots) => {
    const weights = [1, 2, 4]
    const tenants = weights.map((weight, index) => tenant(index + 2, weight))
    const held = await playSlotSeconds(tenants, slots, 50 * LONGEST_S)
    const unit = held.reduce((sum, seconds) => sum + seconds, 0) / 7
    for (const [index, weight] of weights.entries()) {
      expect((held[index] ?? 0) / (unit * weight)).toBeGreaterThan(0.95)
      expect((held[index] ?? 0) / (unit * weight)).toBeLessThan(1.05)
    }
  },
)
