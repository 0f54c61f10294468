import { nodeIdSchema } from '@muster/contracts'
import type { Admission } from '@muster/core'
import { z } from 'zod'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer } from './reply.ts'
import { admissionText, runId } from './request.ts'

const START = loadScript('start')
const replySchema = z.tuple([z.enum(['started', 'refused'])])

export const start = async (
  call: CallScript,
  timeoutMs: number,
  run: string,
  admission: Admission,
  node: string,
): Promise<'started' | 'refused' | 'cold'> => {
  const request = { run: runId(run), admission: admissionText(admission), node: nodeIdSchema.parse(node) }
  const answer = readAnswer(await call(START, request, timeoutMs))
  return answer.kind === 'cold' ? 'cold' : parseReply(replySchema, answer.rest)[0]
}
