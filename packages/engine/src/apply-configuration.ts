import type { NodeConfig } from '@muster/store'
import { admit } from './admit.ts'
import { afterCommit } from './after-commit.ts'
import type { EngineContext } from './engine-context.ts'

/** Tells the gate of new limits, weights and pauses. False when it could not be told: the tick will, within about a second. */
export async function applyConfiguration(context: EngineContext, entries: readonly NodeConfig[]): Promise<boolean> {
  let applied = false
  await afterCommit(context, async () => {
    applied = await admit(context, () => context.gate.configure(entries))
  })
  return applied
}
