import type { GateReply } from '@muster/gate'
import { withGate } from './with-gate.ts'

/** Makes a call whose answer nobody waits for. True when the gate was there and warm. */
export async function tellGate(call: () => Promise<GateReply>): Promise<boolean> {
  const reply = await withGate(call)
  return reply !== null && reply.kind === 'warm'
}
