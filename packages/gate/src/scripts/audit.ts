import { poolSchema } from '@muster/contracts'
import type { Admission } from '@muster/core'
import { z } from 'zod'
import type { GateSlot } from '../gate-facts.ts'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer, rows, textOrNull, texts, whole, wholeOrNull } from './reply.ts'
import { admissionText } from './request.ts'

const AUDIT = loadScript('audit')
const replySchema = z.tuple([texts, wholeOrNull])
const laneSchema = z.string().regex(/^agt_\w+\/.+$/)
const rowSchema = z
  .tuple([
    z.string(),
    whole,
    z.enum(['reserved', 'started']),
    textOrNull,
    whole,
    z.string(),
    laneSchema,
    z.string(),
    poolSchema,
  ])
  .transform(([runId, admission, state, nodeId, ageMs, classKey, laneId, workspaceId, pool]): GateSlot => {
    const slash = laneId.indexOf('/')
    const [agentId, lane] = [laneId.slice(0, slash), laneId.slice(slash + 1)]
    return { runId, admission, state, nodeId, ageMs, workspaceId, agentId, lane, classKey, pool }
  })

export const audit = async (
  call: CallScript,
  timeoutMs: number,
  cursor: Admission | null,
): Promise<GateAnswer<{ readonly slots: readonly GateSlot[]; readonly cursor: Admission | null }>> => {
  const answer = readAnswer(await call(AUDIT, { after: cursor === null ? '-inf' : admissionText(cursor) }, timeoutMs))
  if (answer.kind === 'cold') return answer
  const [flat, after] = parseReply(replySchema, answer.rest)
  return { kind: 'warm', slots: rows(flat, 9).map((row) => parseReply(rowSchema, row)), cursor: after }
}
