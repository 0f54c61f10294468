import { envLogLevel } from '@muster/runtime'
import type { LogLevel } from '../config.ts'
import type { ChildLine } from '../fleet/supervise-child.ts'

const RANKS: readonly string[] = envLogLevel.options

/** Whether whoever asked for a level reads a line; what is no line of a log, such as the last words of a crash, always. */
export function isWanted(line: ChildLine, level: LogLevel): boolean {
  if (typeof line === 'string') return true
  const rank = RANKS.indexOf(String(line['level']))
  return rank === -1 || rank >= RANKS.indexOf(level)
}
