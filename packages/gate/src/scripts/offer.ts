import type { GateOffer } from '../gate-offer.ts'
import type { GateReply } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { callAdmitting } from './next.ts'
import { offersRequest } from './request.ts'

const OFFER = loadScript('offer')

export const offer = async (call: CallScript, timeoutMs: number, offers: readonly GateOffer[]): Promise<GateReply> =>
  callAdmitting(call, OFFER, offersRequest(offers), timeoutMs, () => ({}))
