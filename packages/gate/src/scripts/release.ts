import type { GateOffer, GateRelease } from '../gate-offer.ts'
import type { GateReply } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { callAdmitting } from './next.ts'
import { parseReply, texts } from './reply.ts'
import { offerRequest, slotRequest } from './request.ts'

const RELEASE = loadScript('release')

export const release = async (
  call: CallScript,
  timeoutMs: number,
  releases: readonly GateRelease[],
  offers: readonly GateOffer[],
): Promise<GateReply<{ readonly released: readonly string[] }>> =>
  callAdmitting(
    call,
    RELEASE,
    {
      releases: releases.map(slotRequest),
      offers: offers.map(offerRequest),
    },
    timeoutMs,
    (result) => ({ released: parseReply(texts, result) }),
  )
