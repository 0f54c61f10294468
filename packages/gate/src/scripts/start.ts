import { nodeIdSchema } from '@muster/contracts'
import { z } from 'zod'
import type { GateStart } from '../gate-offer.ts'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer } from './reply.ts'
import { slotRequest } from './request.ts'

const START = loadScript('start')
const replySchema = z.tuple([z.array(z.enum(['started', 'refused']))])

export const start = async (
  call: CallScript,
  timeoutMs: number,
  starts: readonly GateStart[],
  node: string,
): Promise<GateAnswer<{ readonly outcomes: readonly ('started' | 'refused')[] }>> => {
  const request = { starts: starts.map(slotRequest), node: nodeIdSchema.parse(node) }
  const answer = readAnswer(await call(START, request, timeoutMs))
  if (answer.kind === 'cold') return answer
  return { kind: 'warm', outcomes: parseReply(replySchema, answer.rest)[0] }
}
