import { z } from 'zod'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, wholeOrNull } from './reply.ts'

const STATE = loadScript('state')
const replySchema = z.tuple([z.enum(['warm', 'cold']), wholeOrNull])

export const state = async (
  call: CallScript,
  timeoutMs: number,
): Promise<{ readonly warm: boolean; readonly epoch: number | null }> => {
  const [heat, epoch] = parseReply(replySchema, await call(STATE, {}, timeoutMs))
  return { warm: heat === 'warm', epoch }
}
