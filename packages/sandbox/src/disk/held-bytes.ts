import type { FolderSize } from './measure-folder.ts'

type Seen = Pick<FolderSize, 'bytes' | 'inFlight' | 'freeBytes'>

/** What any program that hands a descriptor on is seen with now and then is no reason yet. */
const LOOKS_MIN = 2

/**
 * How many bytes a sandbox may hold, judged by one look after another. A file that is deleted and lives on only in a message that nobody
 * receives is nowhere to be seen. So, from the second look in a row at which such messages lie in its sockets, all room that the disk lost
 * since it had most, from the last look without them on, is counted as this sandbox's. What others wrote meanwhile is counted along; one
 * look without resets it.
 */
export function heldBytes(): (seen: Seen) => number {
  let bytes: number | null = null
  let mostFree = 0
  let looks = 0
  return (seen) => {
    looks = seen.inFlight ? looks + 1 : 0
    if (bytes === null || looks === 0) {
      bytes = seen.bytes
      mostFree = seen.freeBytes
    }
    mostFree = Math.max(mostFree, seen.freeBytes)
    return looks < LOOKS_MIN ? seen.bytes : Math.max(seen.bytes, bytes + mostFree - seen.freeBytes)
  }
}
