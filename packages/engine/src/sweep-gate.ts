import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

export type GateCondition = 'warm' | 'cold' | 'away'

/** Lets the gate see to its own time: reservations that ran out, runs that became due, free slots. Answers how it found the gate. */
export async function sweepGate(context: EngineContext): Promise<GateCondition> {
  const reply = await withGate(() => context.gate.sweep())
  if (reply === null) return 'away'
  return reply.kind
}
