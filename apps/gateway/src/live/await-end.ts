import type { RunLogs } from './run-logs.ts'

/** Waits until a run has finished, at most for a time; true when it has. `afterSeq`: an event that it was past already. */
export async function awaitEnd(
  logs: RunLogs,
  run: { readonly id: string; readonly afterSeq: number },
  waitMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const enough = AbortSignal.any([signal, AbortSignal.timeout(waitMs)])
  for await (const events of logs.follow(run.id, run.afterSeq, enough))
    if (events.at(-1)?.type === 'run.finished') return true
  return false
}
