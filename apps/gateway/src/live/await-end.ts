import type { OnRefused } from './key-watch.ts'
import type { RunLogs } from './run-logs.ts'

type WaitingCall = { readonly signal: () => AbortSignal; readonly onRefused: OnRefused }

/**
 * Waits until a run has finished, at most for a time and as long as the call's key is good; true when it has. `afterSeq`: an event that it
 * was past already.
 */
export async function awaitEnd(
  logs: RunLogs,
  run: { readonly id: string; readonly afterSeq: number },
  waitMs: number,
  call: WaitingCall,
): Promise<boolean> {
  const refused = new AbortController()
  const forget = call.onRefused(() => refused.abort())
  const enough = AbortSignal.any([call.signal(), refused.signal, AbortSignal.timeout(waitMs)])
  try {
    for await (const events of logs.follow(run.id, run.afterSeq, enough))
      if (events.at(-1)?.type === 'run.finished') return true
    return false
  } finally {
    forget()
  }
}
