import { randomInt } from 'node:crypto'

/** A seed for this test, printed so that a failure can be repeated: `MUSTER_SEED=<n> npm test -- <file>` gives the same one. */
export function seed(): number {
  const value = Number(process.env['MUSTER_SEED'] ?? randomInt(2 ** 31))
  console.log(`seed ${value} (repeat with MUSTER_SEED=${value})`)
  return value
}

/** Numbers in [0, 1) that follow from the seed alone (mulberry32). */
export function randomFrom(start: number): () => number {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
