import type { GateReply } from '@muster/gate'
import type { EngineContext } from './engine-context.ts'
import { withGate } from './with-gate.ts'

/**
 * Gives each admission of a reply its job. A job that cannot be added is no loss: the reservation runs out and its run goes back to the
 * head of its class. True when the gate was there and warm.
 */
export async function admit(context: EngineContext, call: () => Promise<GateReply>): Promise<boolean> {
  const reply = await withGate(call)
  if (reply === null || reply.kind === 'cold') return false
  if (reply.admitted.length > 0) await withGate(() => context.gate.enqueue(reply.admitted))
  return true
}
