import { z } from 'zod'
import type { GateConfig } from '../gate-config.ts'
import type { GateReply } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { callAdmitting } from './next.ts'
import { parseReply } from './reply.ts'
import { configRequest } from './request.ts'

const CONFIGURE = loadScript('configure')
const resultSchema = z.tuple([z.int()])

export const configure = async (
  call: CallScript,
  timeoutMs: number,
  entries: readonly GateConfig[],
): Promise<GateReply<{ readonly applied: number }>> =>
  callAdmitting(call, CONFIGURE, { entries: entries.map(configRequest) }, timeoutMs, ({ result }) => ({
    applied: parseReply(resultSchema, result)[0],
  }))
