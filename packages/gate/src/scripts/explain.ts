import { poolSchema } from '@muster/contracts'
import { z } from 'zod'
import { GATE_RUN_STATES, type GateExplanation, type GatePathNode } from '../gate-facts.ts'
import type { GateAnswer } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import { parseNodeId } from '../node-id.ts'
import type { CallScript } from '../script-caller.ts'
import { parseReply, readAnswer, rows, texts, whole, wholeOrNull } from './reply.ts'
import { runId } from './request.ts'

const EXPLAIN = loadScript('explain')
const replySchema = z.union([z.tuple([]), z.tuple([texts, texts])])
const factsSchema = z.tuple([
  z.enum(GATE_RUN_STATES),
  poolSchema,
  wholeOrNull,
  wholeOrNull,
  wholeOrNull,
  wholeOrNull,
  whole,
  whole,
  whole,
])
const pathRow = z.tuple([z.string(), whole, wholeOrNull, z.enum(['0', '1']), whole]).transform(
  ([id, used, limit, paused, waiting]): GatePathNode => ({
    node: parseNodeId(id),
    used,
    limit,
    paused: paused === '1',
    waiting,
  }),
)

const blockOf = (facts: Omit<GateExplanation, 'blockedBy'>, nowMs: number): GateExplanation['blockedBy'] => {
  if (facts.state === 'reserved' || facts.state === 'started') return { kind: 'none' }
  if (facts.state === 'due' && (facts.notBeforeMs ?? 0) > nowMs) return { kind: 'not_due' }
  if (facts.capacity === 0) return { kind: 'no_node', pool: facts.pool }
  for (const { node, used, limit, paused } of facts.path) {
    if (paused) return { kind: 'paused', node, used, limit }
    if (limit !== null && used >= limit) return { kind: 'limit', node, used, limit }
  }
  return { kind: 'none' }
}

export const explain = async (
  call: CallScript,
  timeoutMs: number,
  id: string,
): Promise<GateAnswer<{ readonly explanation: GateExplanation | null }>> => {
  const answer = readAnswer(await call(EXPLAIN, { run: runId(id) }, timeoutMs))
  if (answer.kind === 'cold') return answer
  const [flatFacts, flatPath] = parseReply(replySchema, answer.rest)
  if (flatFacts === undefined || flatPath === undefined) return { kind: 'warm', explanation: null }
  const [state, pool, rank, notBeforeMs, queuedAtMs, headQueuedAtMs, capacity, poolUsed, nowMs] = parseReply(
    factsSchema,
    flatFacts,
  )
  const path = rows(flatPath, 5).map((row) => parseReply(pathRow, row))
  const position = rank === null ? null : rank + 1
  const facts = { runId: id, state, pool, position, notBeforeMs, queuedAtMs, headQueuedAtMs, capacity, poolUsed, path }
  return { kind: 'warm', explanation: { ...facts, blockedBy: blockOf(facts, nowMs) } }
}
