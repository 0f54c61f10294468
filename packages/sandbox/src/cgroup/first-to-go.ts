import { writeFileSync } from 'node:fs'

/** The most that a process can be preferred as the one to kill when the host, not its group, is out of memory. */
export const FIRST_TO_GO = 1_000

/**
 * Lets an agent go before the fleet when its host is out of memory: the process, and whatever it starts from now on. Takes no privilege;
 * where it is refused all the same, an agent goes in its turn.
 */
export function letGoFirst(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(FIRST_TO_GO), { flag: 'r+' })
  } catch {
    // It is over, or another user's: no limit leans on this.
  }
}
