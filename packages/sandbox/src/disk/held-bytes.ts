import type { FolderSize } from './measure-folder.ts'

type Seen = Pick<FolderSize, 'bytes' | 'unseen' | 'freeBytes'>

/** A server that hands its connections to a child is seen with one in a message whenever that child is busy: no reason yet. */
const LOOKS_MIN = 5

/**
 * How many bytes a sandbox may hold, judged by one look after another. A file that is deleted and lives on only in a message that nobody
 * receives is nowhere to be seen. So, from the fifth look in a row at which such messages lie in its sockets, or at which its processes came
 * faster than they could be looked at, all room that the disk lost since it had most, from the last look without on, is counted as this
 * sandbox's. What others wrote meanwhile is counted along; one look without resets it.
 */
export function heldBytes(): (seen: Seen) => number {
  let bytes: number | null = null
  let mostFree = 0
  let looks = 0
  return (seen) => {
    looks = seen.unseen ? looks + 1 : 0
    if (bytes === null || looks === 0) {
      bytes = seen.bytes
      mostFree = seen.freeBytes
    }
    mostFree = Math.max(mostFree, seen.freeBytes)
    return looks < LOOKS_MIN ? seen.bytes : Math.max(seen.bytes, bytes + mostFree - seen.freeBytes)
  }
}
