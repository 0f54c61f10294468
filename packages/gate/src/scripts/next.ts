import type { Admitted, Cold, GateReply } from '../gate-reply.ts'
import { GateUnavailable } from '../gate-unavailable.ts'
import { loadScript, type Script } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { type AdmitReply, readAdmitReply } from './reply.ts'

const NEXT = loadScript('next')

type WarmReply = Extract<AdmitReply, { kind: 'warm' }>
/** The reply of a script that admits, and those of `next` after it. */
type Rounds = { readonly kind: 'warm'; readonly first: WarmReply; readonly replies: readonly WarmReply[] }

/**
 * Calls a script that admits, and `next` as long as the last reply says so. What was given is never dropped: when a later call fails, the
 * tick gives the rest.
 */
export const callRounds = async (
  call: CallScript,
  script: Script,
  request: object,
  timeoutMs: number,
  goesOn: (last: WarmReply, round: number) => boolean,
): Promise<Cold | Rounds> => {
  const first = readAdmitReply(await call(script, request, timeoutMs))
  if (first.kind === 'cold') return first
  const replies = [first]
  for (let last = first; goesOn(last, replies.length); ) {
    try {
      const reply = readAdmitReply(await call(NEXT, {}, timeoutMs))
      if (reply.kind === 'cold') break
      last = reply
    } catch (error) {
      if (error instanceof GateUnavailable) break
      throw error
    }
    replies.push(last)
  }
  return { kind: 'warm', first, replies }
}

/** All that a call and those after it admitted. */
export const admittedIn = ({ replies }: Rounds): Admitted[] => replies.flatMap((reply) => reply.admitted)

/** Calls a script that admits, and `next` as long as there was more to give than one script gives. */
export const callAdmitting = async <T>(
  call: CallScript,
  script: Script,
  request: object,
  timeoutMs: number,
  read: (reply: WarmReply) => T,
): Promise<GateReply<T>> => {
  const rounds = await callRounds(call, script, request, timeoutMs, (last) => last.more)
  if (rounds.kind === 'cold') return rounds
  return { kind: 'warm', admitted: admittedIn(rounds), ...read(rounds.first) }
}

export const next = async (call: CallScript, timeoutMs: number): Promise<GateReply> =>
  callAdmitting(call, NEXT, {}, timeoutMs, () => ({}))
