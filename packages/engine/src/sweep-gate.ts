import { admit } from './admit.ts'
import type { EngineContext } from './engine-context.ts'

/** Lets the gate see to its own time: reservations that ran out, runs that became due, free slots. */
export async function sweepGate(context: EngineContext): Promise<void> {
  await admit(context, () => context.gate.sweep())
}
