import { z } from 'zod'
import type { GateReply } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { callAdmitting } from './next.ts'
import { parseReply } from './reply.ts'

const SWEEP = loadScript('sweep')
const resultSchema = z.tuple([z.int(), z.int()])

export const sweep = async (
  call: CallScript,
  timeoutMs: number,
): Promise<GateReply<{ readonly expired: number; readonly promoted: number }>> =>
  callAdmitting(call, SWEEP, {}, timeoutMs, ({ result }) => {
    const [expired, promoted] = parseReply(resultSchema, result)
    return { expired, promoted }
  })
