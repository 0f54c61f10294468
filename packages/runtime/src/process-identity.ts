import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A process as it can be recorded in a file and recognised later, when its pid may have been given to another. */
export type ProcessRecord = { readonly pid: number; readonly started: string }

/** The record of a living process; null when no such process runs (a zombie does not run). */
export function processRecord(pid: number): ProcessRecord | null {
  const started = process.platform === 'linux' ? startedOnLinux(pid) : startedByPs(pid)
  return started === null ? null : { pid, started }
}

/** Whether the process that was recorded, and not a later one with its pid, still runs. */
export function isRunning(record: ProcessRecord): boolean {
  return processRecord(record.pid)?.started === record.started
}

function startedOnLinux(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in parentheses, may hold anything: what follows the last one is fixed. Field 3 is the state, 22 the start.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return null
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${fields[19]}`
  } catch {
    return null
  }
}

function startedByPs(pid: number): string | null {
  try {
    const asked = ['-o', 'stat=,lstart=', '-p', String(pid)]
    // The same text for whoever asks, wherever they are: a living process must not look like another one.
    const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
    const line = execFileSync('ps', asked, { encoding: 'utf8', env }).trim()
    return line === '' || line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '')
  } catch {
    return null
  }
}
