import { readFileSync } from 'node:fs'
import { attempt } from './attempt.ts'

/** The end of a terminal that makes it; its other end has a number for a name, also after the first was closed. */
const MASTERS: ReadonlySet<string> = new Set(['/dev/ptmx', '/dev/pts/ptmx'])
const OTHER_END = /^\/dev\/pts\/(\d+)(?: \(deleted\))?$/
/** A process' own terminal by this name, of which nobody is told the number. */
const OWN = '/dev/tty'
const NUMBER = /^tty-index:\s*(\d+)$/m

/**
 * Which terminal a descriptor keeps from others, by a word that is the same for both ends of it; null for what is none. `path` is the one
 * of `/proc/<pid>/fd`, and `target` what it leads to as the process sees it: in the /dev of a sandbox no agent can rename anything.
 */
export function terminalOf(path: string, target: string): string | null {
  if (!target.startsWith('/dev/')) return null
  if (target === OWN) return path
  const number = MASTERS.has(target) ? numberOf(path) : OTHER_END.exec(target)?.[1]
  return number ?? (MASTERS.has(target) ? path : null)
}

/** The kernel tells that number of the end that made a terminal; since 4.10. */
function numberOf(path: string): string | undefined {
  const told = attempt(() => readFileSync(path.replace('/fd/', '/fdinfo/'), 'latin1')) ?? ''
  return NUMBER.exec(told)?.[1]
}
