import type { GateReply } from '@muster/gate'
import type { EngineContext } from './engine-context.ts'
import { sendJobs } from './send-jobs.ts'
import { withGate } from './with-gate.ts'

/** Makes a call that admits and sends off the jobs of what it admitted. True when the gate was there and warm. */
export async function admit(context: EngineContext, call: () => Promise<GateReply>): Promise<boolean> {
  const reply = await withGate(call)
  if (reply === null || reply.kind === 'cold') return false
  await sendJobs(context, reply.admitted)
  return true
}
