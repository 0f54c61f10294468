import { setTimeout as sleep } from 'node:timers/promises'
import { isRunning, type ProcessRecord } from './process-identity.ts'

export type StopStep = { readonly signal: NodeJS.Signals; readonly waitMs: number }

/** Sends each signal in turn, to the process alone or to its group, until it is gone; the last step is given until it works. */
export async function stopProcess(
  record: ProcessRecord,
  whom: 'process' | 'group',
  steps: readonly StopStep[],
): Promise<void> {
  for (const step of steps) {
    if (!isRunning(record)) return
    signalProcess(record, whom, step.signal)
    const deadline = performance.now() + step.waitMs
    while (isRunning(record) && performance.now() < deadline) await sleep(20)
  }
  if (isRunning(record)) throw new Error(`process ${record.pid} does not end`)
}

/** Sends a signal if the recorded process still runs; a process that is gone is no error. */
export function signalProcess(record: ProcessRecord, whom: 'process' | 'group', signal: NodeJS.Signals): void {
  if (!isRunning(record)) return
  try {
    process.kill(whom === 'group' ? -record.pid : record.pid, signal)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
