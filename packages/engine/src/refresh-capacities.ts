import { poolCapacities } from '@muster/store'
import type { EngineContext } from './engine-context.ts'
import { tellGate } from './tell-gate.ts'

/** Tells the gate how many slots the living, non-draining nodes offer, which admits what that makes room for. */
export async function refreshCapacities(context: EngineContext): Promise<void> {
  const capacities = await poolCapacities(context.database.pool)
  await tellGate(() => context.gate.setCapacities(capacities))
}
