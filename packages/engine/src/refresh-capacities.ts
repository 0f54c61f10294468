import { poolCapacities } from '@muster/store'
import { admit } from './admit.ts'
import type { EngineContext } from './engine-context.ts'

/** Tells the gate how many slots the living, non-draining nodes offer; what that makes room for is sent off. */
export async function refreshCapacities(context: EngineContext): Promise<void> {
  const capacities = await poolCapacities(context.database.pool)
  await admit(context, () => context.gate.setCapacities(capacities))
}
