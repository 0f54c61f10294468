import { z } from 'zod'
import type { GateReply } from '../gate-reply.ts'
import { loadScript } from '../load-script.ts'
import type { CallScript } from '../script-caller.ts'
import { admittedIn, callRounds } from './next.ts'
import { parseReply } from './reply.ts'

const SWEEP = loadScript('sweep')
/** Scripts of one sweep that park due runs: others' calls come between them, and their own tick is not far. */
const ROUNDS_MAX = 20
const roundSchema = z.tuple([z.int(), z.literal([0, 1])]).rest(z.unknown())
const resultSchema = z.tuple([z.int(), z.int(), z.int()])

export const sweep = async (
  call: CallScript,
  timeoutMs: number,
): Promise<GateReply<{ readonly expired: number; readonly promoted: number }>> => {
  const rounds = await callRounds(call, SWEEP, {}, timeoutMs, ({ more, result }, round) => {
    const [, overdue] = parseReply(roundSchema, result)
    return more || (overdue === 1 && round < ROUNDS_MAX)
  })
  if (rounds.kind === 'cold') return rounds
  const [, , expired] = parseReply(resultSchema, rounds.first.result)
  const promoted = rounds.replies.reduce((sum, { result }) => sum + parseReply(roundSchema, result)[0], 0)
  return { kind: 'warm', admitted: admittedIn(rounds), expired, promoted }
}
