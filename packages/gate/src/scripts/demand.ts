import { type Pool, poolSchema } from '@muster/contracts'
import { z } from 'zod'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer, rows, texts, whole } from './reply.ts'

const DEMAND = loadScript('demand')
const replySchema = z.tuple([texts])
const rowSchema = z.tuple([poolSchema, whole])
const poolsSchema = z.record(poolSchema, z.int())

export const demand = async (
  call: CallScript,
  timeoutMs: number,
): Promise<GateAnswer<{ readonly startable: Readonly<Record<Pool, number>> }>> => {
  const answer = readAnswer(await call(DEMAND, {}, timeoutMs))
  if (answer.kind === 'cold') return answer
  const found = rows(parseReply(replySchema, answer.rest)[0], 2).map((row) => parseReply(rowSchema, row))
  return { kind: 'warm', startable: parseReply(poolsSchema, Object.fromEntries(found)) }
}
