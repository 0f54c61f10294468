import type { NodeConfig } from '@muster/store'
import { afterCommit } from './after-commit.ts'
import type { EngineContext } from './engine-context.ts'
import { tellGate } from './tell-gate.ts'

/** Tells the gate of new limits, weights and pauses. False when it could not be told: the tick will, within about a second. */
export async function applyConfiguration(context: EngineContext, entries: readonly NodeConfig[]): Promise<boolean> {
  let applied = false
  await afterCommit(context, async () => {
    applied = await tellGate(() => context.gate.configure(entries))
  })
  return applied
}
