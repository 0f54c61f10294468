import type { GateReply } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { callAdmitting } from './next.ts'
import { runId } from './request.ts'

const WITHDRAW = loadScript('withdraw')

export const withdraw = async (call: CallScript, timeoutMs: number, runIds: readonly string[]): Promise<GateReply> =>
  callAdmitting(call, WITHDRAW, { runs: runIds.map(runId) }, timeoutMs, () => ({}))
