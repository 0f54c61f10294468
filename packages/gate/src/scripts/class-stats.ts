import { z } from 'zod'
import type { GateClassStats } from '../gate-facts.ts'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import { nodeId } from '../node-id.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer, rows, texts, whole, wholeOrNull } from './reply.ts'

const CLASS_STATS = loadScript('class-stats')
const replySchema = z.tuple([texts])
const rowSchema = z.tuple([whole, whole, wholeOrNull])

export const classStats = async (
  call: CallScript,
  timeoutMs: number,
  classKeys: readonly string[],
): Promise<GateAnswer<{ readonly classes: readonly GateClassStats[] }>> => {
  const classes = classKeys.map((classKey) => nodeId({ kind: 'class', classKey }))
  const answer = readAnswer(await call(CLASS_STATS, { classes }, timeoutMs))
  if (answer.kind === 'cold') return answer
  const found = rows(parseReply(replySchema, answer.rest)[0], 3)
  return {
    kind: 'warm',
    classes: classKeys.map((classKey, index) => {
      const [running, waiting, headQueuedAtMs] = parseReply(rowSchema, found[index])
      return { classKey, running, waiting, headQueuedAtMs }
    }),
  }
}
