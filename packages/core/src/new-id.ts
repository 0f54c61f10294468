import { randomFillSync } from 'node:crypto'
import { ID_PREFIXES, type IdKind } from '@muster/contracts'

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz'
const PAIRS = Array.from({ length: 1024 }, (_, pair) => `${DIGITS[pair >> 5]}${DIGITS[pair & 31]}`)
const TIME_PAIRS = 5
/** The 80 random bits are two halves: within a millisecond only the second one is counted up. */
const HALF_BYTES = 5
const HALF_PAIRS = 4
const HALF_MAX = 2 ** 40 - 1

/** Random bytes are fetched many at a time: an id needs a few only. */
const pool = Buffer.alloc(4000)
let used = pool.length

let lastMs = 0
let start = ''
let count = HALF_MAX

/** A new id of a kind: sorts after every id of that kind made earlier by this process, and by time across processes. */
export function newId(kind: IdKind): string {
  const now = Date.now()
  if (now > lastMs) startAt(now)
  else if (count === HALF_MAX) startAt(lastMs + 1)
  else count++
  return `${ID_PREFIXES[kind]}_${start}${digitsOf(count, HALF_PAIRS)}`
}

function startAt(ms: number): void {
  lastMs = ms
  start = digitsOf(ms, TIME_PAIRS) + digitsOf(randomHalf(), HALF_PAIRS)
  count = randomHalf()
}

function randomHalf(): number {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += HALF_BYTES
  return pool.readUIntBE(used - HALF_BYTES, HALF_BYTES)
}

/** So many pairs of base-32 digits as ULIDs write them. */
function digitsOf(value: number, pairs: number): string {
  let text = ''
  for (let left = value, pair = 0; pair < pairs; pair++) {
    const last = left % PAIRS.length
    text = PAIRS[last] + text
    left = (left - last) / PAIRS.length
  }
  return text
}
