import { releaseSession as releaseInStore } from '@muster/store'
import { afterCommit } from './after-commit.ts'
import type { EngineContext } from './engine-context.ts'
import { freeMoved } from './take-lost-runs.ts'
import { tellGate } from './tell-gate.ts'
import { withGate } from './with-gate.ts'

/** Ends the session's current run `cancelled` with code `session_released`, whatever its state, and lets the next one start. */
export async function releaseSession(context: EngineContext, sessionId: string, reason: string): Promise<void> {
  const moves = await releaseInStore(context.database.pool, sessionId, reason)
  const ended = moves.moved.map((each) => each.runId)
  await afterCommit(context, async () => {
    for (const runId of ended) await withGate(() => context.gate.cancelWake(runId))
    if (ended.length > 0) await tellGate(() => context.gate.withdraw(ended))
    await freeMoved(context, moves)
  })
}
