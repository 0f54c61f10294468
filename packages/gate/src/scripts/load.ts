import { z } from 'zod'
import type { GateLoad } from '../gate-config.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply } from './reply.ts'
import { capacitiesRequest, configRequest, holdingRequest } from './request.ts'

const LOAD = loadScript('load')
const replySchema = z.tuple([z.enum(['loaded', 'refused'])])

export const load = async (call: CallScript, timeoutMs: number, what: GateLoad): Promise<'loaded' | 'refused'> => {
  if (!(Number.isInteger(what.epoch) && what.epoch > 0 && what.epoch < 2 ** 21))
    throw new RangeError(`epoch out of range: ${what.epoch}`)
  const request = {
    epoch: what.epoch,
    entries: what.config.map(configRequest),
    holdings: what.holdings.map(holdingRequest),
    capacities: capacitiesRequest(what.capacities),
  }
  return parseReply(replySchema, await call(LOAD, request, timeoutMs))[0]
}
