import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

export type ClassNumbers = { readonly running: number; readonly waiting: number; readonly oldestWaitingAt: Date | null }

/** What each class has running and waiting, from the gate; a class is missing from the answer while the gate cannot tell. */
export async function classStats(
  context: EngineContext,
  classKeys: readonly string[],
): Promise<ReadonlyMap<string, ClassNumbers>> {
  const answer = await withGate(() => context.gate.classStats(classKeys))
  if (answer === null || answer.kind === 'cold') return new Map()
  return new Map(
    answer.classes.map((each) => [
      each.classKey,
      {
        running: each.running,
        waiting: each.waiting,
        oldestWaitingAt: each.headQueuedAtMs === null ? null : new Date(each.headQueuedAtMs),
      },
    ]),
  )
}
