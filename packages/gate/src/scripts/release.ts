import { nodeIdSchema } from '@muster/contracts'
import type { GateKeep, GateOffer, GateRelease } from '../gate-offer.ts'
import type { GateReply, Released } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { callAdmitting } from './next.ts'
import { parseReply, texts } from './reply.ts'
import { offersRequest, slotRequest } from './request.ts'

const RELEASE = loadScript('release')

export const release = async (
  call: CallScript,
  timeoutMs: number,
  releases: readonly GateRelease[],
  offers: readonly GateOffer[],
  keep: GateKeep | null,
): Promise<GateReply<Released>> =>
  callAdmitting(
    call,
    RELEASE,
    {
      releases: releases.map(slotRequest),
      ...offersRequest(offers),
      ...(keep === null ? {} : { keep: { node: nodeIdSchema.parse(keep.nodeId), pools: keep.slots } }),
    },
    timeoutMs,
    ({ result, kept }) => ({ released: parseReply(texts, result), kept }),
  )
