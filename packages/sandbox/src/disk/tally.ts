import type { Stats } from 'node:fs'

export type Tally = {
  readonly bytes: number
  readonly files: number
  /** Counts a file once, however often and by whatever name it is seen, at the most that it took. True the first time. */
  add(found: Stats): boolean
  has(found: Stats): boolean
}

const BLOCK_BYTES = 512

/** What a set of files takes of its disk. A number that Node cannot hold exactly may stand for several files: those of one name count each time. */
export function createTally(): Tally {
  const devices = new Map<number, Map<number, number>>()
  let bytes = 0
  let files = 0

  const has = ({ dev, ino }: Stats) => devices.get(dev)?.has(ino) === true

  return {
    get bytes() {
      return bytes
    },
    get files() {
      return files
    },
    has,
    add(found) {
      const taken = found.blocks * BLOCK_BYTES
      const isOneName = found.nlink === 1 || found.isDirectory()
      const isKnown = has(found) && (Number.isSafeInteger(found.ino) || !isOneName)
      const before = isKnown ? (devices.get(found.dev)?.get(found.ino) ?? 0) : 0
      bytes += Math.max(0, taken - before)
      if (!isKnown) files += 1
      const device = devices.get(found.dev) ?? new Map<number, number>()
      devices.set(found.dev, device.set(found.ino, Math.max(taken, before)))
      return !isKnown
    },
  }
}
