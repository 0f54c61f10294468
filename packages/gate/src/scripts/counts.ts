import { type Pool, poolSchema } from '@muster/contracts'
import { z } from 'zod'
import type { GatePoolCounts } from '../gate-facts.ts'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer, rows, texts, whole } from './reply.ts'

const COUNTS = loadScript('counts')
const replySchema = z.tuple([texts])
const rowSchema = z
  .tuple([poolSchema, whole, whole, whole, whole])
  .transform(([pool, queued, due, used, capacity]) => ({ pool, counts: { queued, due, used, capacity } }))

const poolsSchema = z.record(poolSchema, z.object({ queued: z.int(), due: z.int(), used: z.int(), capacity: z.int() }))

export const counts = async (
  call: CallScript,
  timeoutMs: number,
): Promise<GateAnswer<{ readonly pools: Readonly<Record<Pool, GatePoolCounts>> }>> => {
  const answer = readAnswer(await call(COUNTS, {}, timeoutMs))
  if (answer.kind === 'cold') return answer
  const found = rows(parseReply(replySchema, answer.rest)[0], 5).map((row) => parseReply(rowSchema, row))
  return {
    kind: 'warm',
    pools: parseReply(poolsSchema, Object.fromEntries(found.map((row) => [row.pool, row.counts]))),
  }
}
