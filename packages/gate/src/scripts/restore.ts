import type { GateHolding } from '../gate-offer.ts'
import type { GateReply } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { callAdmitting } from './next.ts'
import { parseReply, texts } from './reply.ts'
import { holdingRequest } from './request.ts'

const RESTORE = loadScript('restore')

export const restore = async (
  call: CallScript,
  timeoutMs: number,
  holdings: readonly GateHolding[],
): Promise<GateReply<{ readonly restored: readonly string[] }>> =>
  callAdmitting(call, RESTORE, { holdings: holdings.map(holdingRequest) }, timeoutMs, ({ result }) => ({
    restored: parseReply(texts, result),
  }))
