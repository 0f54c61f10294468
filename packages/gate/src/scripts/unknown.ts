import { z } from 'zod'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer, texts } from './reply.ts'

const UNKNOWN = loadScript('unknown')
const replySchema = z.tuple([texts])

export const unknown = async (
  call: CallScript,
  timeoutMs: number,
  runIds: readonly string[],
): Promise<GateAnswer<{ readonly runIds: readonly string[] }>> => {
  const answer = readAnswer(await call(UNKNOWN, { runs: runIds }, timeoutMs))
  if (answer.kind === 'cold') return answer
  return { kind: 'warm', runIds: parseReply(replySchema, answer.rest)[0] }
}
