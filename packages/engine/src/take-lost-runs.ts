import { type Moves, takeLost } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { publishEvents } from './publish-events.ts'
import { tellGate } from './tell-gate.ts'

const PAGE = 200

/** Takes the runs of dead or silent nodes: each goes to the head of its class or ends, and its slot is freed in the same script as its offer. */
export async function takeLostRuns(context: EngineContext, lossesMax: number): Promise<number> {
  let taken = 0
  for (;;) {
    const moves = await takeLost(context.database.pool, lossesMax, PAGE)
    taken += moves.moved.length
    if (moves.moved.length > 0) {
      context.log.warn({ run_ids: moves.moved.map((each) => each.runId) }, 'runs were taken from lost workers')
      const queued = moves.moved.filter((each) => each.status === 'queued').length
      if (queued > 0) context.report?.recovered?.('lost', queued)
      await freeMoved(context, moves)
    }
    if (moves.moved.length < PAGE) return taken
  }
}

/** Frees the slots of runs that Postgres moved, offers what it named, and shows the events. */
export async function freeMoved(context: EngineContext, moves: Moves): Promise<void> {
  const releases = moves.moved.map(({ runId, admission }) => ({ runId, admission }))
  await tellGate(() => context.gate.release(releases, moves.offers))
  await publishEvents(context, moves.events)
}
