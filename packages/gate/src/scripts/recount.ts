import { poolSchema } from '@muster/contracts'
import { z } from 'zod'
import type { GateMiscount } from '../gate-facts.ts'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import { parseNodeId } from '../node-id.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer, rows, texts, whole, wholeOrNull } from './reply.ts'

const RECOUNT = loadScript('recount')
const replySchema = z.tuple([z.int(), texts])
const rowSchema = z.union([
  z
    .tuple([z.string(), z.literal('node'), whole, whole, wholeOrNull])
    .transform(
      ([id, , used, counted, limit]): GateMiscount => ({ node: parseNodeId(id), pool: null, used, counted, limit }),
    ),
  z
    .tuple([poolSchema, z.literal('pool'), whole, whole, wholeOrNull])
    .transform(([pool, , used, counted, limit]): GateMiscount => ({ node: null, pool, used, counted, limit })),
])

export const recount = async (
  call: CallScript,
  timeoutMs: number,
): Promise<GateAnswer<{ readonly slots: number; readonly miscounts: readonly GateMiscount[] }>> => {
  const answer = readAnswer(await call(RECOUNT, {}, timeoutMs))
  if (answer.kind === 'cold') return answer
  const [slots, flat] = parseReply(replySchema, answer.rest)
  return { kind: 'warm', slots, miscounts: rows(flat, 5).map((row) => parseReply(rowSchema, row)) }
}
