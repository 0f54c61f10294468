import { readFileSync } from 'node:fs'

export type ProcessLimitName = 'core' | 'fsize' | 'nofile'

/** The most that this process may allow a child, in the units of the kernel; a limit that is not named has none. */
export type HardLimits = Readonly<Partial<Record<ProcessLimitName, number>>>

const NAMES = { core: 'Max core file size', fsize: 'Max file size', nofile: 'Max open files' } as const

/** Without privilege nobody raises a hard limit again, so that what this process was started under bounds its sandboxes too. */
export function readHardLimits(text: string = readFileSync('/proc/self/limits', 'utf8')): HardLimits {
  const limits: Partial<Record<ProcessLimitName, number>> = {}
  for (const name of ['core', 'fsize', 'nofile'] as const) {
    const hard = new RegExp(`^${NAMES[name]} +\\S+ +(\\d+) `, 'm').exec(text)?.[1]
    if (hard !== undefined) limits[name] = Number(hard)
  }
  return limits
}
