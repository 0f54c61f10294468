import type { Admitted, GateReply } from '../gate-reply.ts'
import { GateUnavailable } from '../gate-unavailable.ts'
import { loadScript, type Script } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { type AdmitReply, readAdmitReply } from './reply.ts'

const NEXT = loadScript('next')

/**
 * Calls a script that admits, and `next` as long as there was more to give than one script gives. What was given is never dropped: when
 * a later call fails, the tick gives the rest.
 */
export const callAdmitting = async <T>(
  call: CallScript,
  script: Script,
  request: object,
  timeoutMs: number,
  read: (reply: Extract<AdmitReply, { kind: 'warm' }>) => T,
): Promise<GateReply<T>> => {
  const reply = readAdmitReply(await call(script, request, timeoutMs))
  if (reply.kind === 'cold') return reply
  const admitted: Admitted[] = [...reply.admitted]
  for (let last: AdmitReply = reply; last.kind === 'warm' && last.more; ) {
    try {
      last = readAdmitReply(await call(NEXT, {}, timeoutMs))
    } catch (error) {
      if (error instanceof GateUnavailable) break
      throw error
    }
    if (last.kind === 'warm') admitted.push(...last.admitted)
  }
  return { kind: 'warm', admitted, ...read(reply) }
}

export const next = async (call: CallScript, timeoutMs: number): Promise<GateReply> =>
  callAdmitting(call, NEXT, {}, timeoutMs, () => ({}))
