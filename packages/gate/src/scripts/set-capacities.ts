import type { PoolCapacities } from '../gate-config.ts'
import type { GateReply } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { callAdmitting } from './next.ts'
import { capacitiesRequest } from './request.ts'

const SET_CAPACITIES = loadScript('set-capacities')

export const setCapacities = async (
  call: CallScript,
  timeoutMs: number,
  capacities: PoolCapacities,
): Promise<GateReply> =>
  callAdmitting(call, SET_CAPACITIES, { capacities: capacitiesRequest(capacities) }, timeoutMs, () => ({}))
