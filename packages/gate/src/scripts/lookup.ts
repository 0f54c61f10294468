import { z } from 'zod'
import { GATE_RUN_STATES, type GateRun } from '../gate-facts.ts'
import { GateFault } from '../gate-fault.ts'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer, rows, textOrNull, texts, wholeOrNull } from './reply.ts'
import { runId } from './request.ts'

const LOOKUP = loadScript('lookup')
const replySchema = z.tuple([texts])
const rowSchema = z.tuple([z.enum([...GATE_RUN_STATES, '']), wholeOrNull, textOrNull])

const readRun = (id: string, row: readonly string[]): GateRun => {
  const [state, admission, nodeId] = parseReply(rowSchema, row)
  switch (state) {
    case '':
      return { runId: id, state: 'unknown' }
    case 'due':
    case 'parked':
      return { runId: id, state }
    case 'reserved':
      if (admission === null) throw new GateFault(`a reserved run without an admission: ${id}`)
      return { runId: id, state, admission }
    case 'started':
      if (admission === null || nodeId === null) throw new GateFault(`a started run without admission or node: ${id}`)
      return { runId: id, state, admission, nodeId }
  }
}

export const lookup = async (
  call: CallScript,
  timeoutMs: number,
  runIds: readonly string[],
): Promise<GateAnswer<{ readonly runs: readonly GateRun[] }>> => {
  const answer = readAnswer(await call(LOOKUP, { runs: runIds.map(runId) }, timeoutMs))
  if (answer.kind === 'cold') return answer
  const found = rows(parseReply(replySchema, answer.rest)[0], 3)
  return { kind: 'warm', runs: runIds.map((id, index) => readRun(id, found[index] ?? [])) }
}
