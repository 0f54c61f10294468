import { randomFillSync } from 'node:crypto'
import { ID_PREFIXES, type IdKind } from '@muster/contracts'
import { monotonicFactory } from 'ulid'

/** Random bytes are fetched many at a time: an id needs a few only. */
const pool = new Uint8Array(4096)
let used = pool.length

function random(): number {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  return (pool[used++] ?? 0) / 256
}

const next = monotonicFactory(random)

/** A new id of a kind: sorts after every id of that kind made earlier by this process, and by time across processes. */
export const newId = (kind: IdKind): string => `${ID_PREFIXES[kind]}_${next().toLowerCase()}`
