import { type BatchResult, BODY_BYTES_MAX, type Command, commandSchema, type ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import type { Accepted, AcceptRequest } from '@muster/engine'
import { findRuns, findSessionRefs, findTasks } from '@muster/store'
import { acceptedBody, type KnownCommand, locationOf } from '../accepted-body.ts'
import type { GatewayContext } from '../gateway-context.ts'
import type { Call, Handler } from '../handler.ts'
import { parseInput } from '../http/parse-input.ts'
import { problemOf } from '../http/problem.ts'

type PostBatch = typeof ROUTES.postBatch
type Decided = PromiseSettledResult<Accepted>

export const postBatch: Handler<PostBatch> = async (context, call) => {
  const { workspace, body, traceparent, header } = call
  if (header('idempotency-key') !== null) {
    const faults = [{ pointer: 'header/idempotency-key', detail: 'send idempotency_key in each command' }]
    throw new AppError('invalid_request', 'a batch has no idempotency key, its commands have', { faults })
  }
  const parsed = await Promise.allSettled(body.commands.map(async (command, index) => parseCommand(command, index)))
  const requests = parsed.flatMap((one): AcceptRequest[] => {
    if (one.status === 'rejected') return []
    return [{ workspace, command: one.value, idempotencyKey: one.value.idempotency_key ?? null, traceparent }]
  })
  const left = (await context.acceptor.acceptAll(requests))[Symbol.iterator]()
  const decided = parsed.map((one, index): Decided => (one.status === 'rejected' ? one : placed(nextOf(left), index)))
  refuseWhole(decided)
  const find = await readRepeated(context, call, decided)
  const results = decided.map((one) => resultOf(context, one, call.requestId, find))
  return { status: 200, body: { results, agent_contract: contractForList() } }
}

/** A command of the batch; throws with the places of its faults in the whole body. */
function parseCommand(value: unknown, index: number): Command {
  const command = parseInput(commandSchema, value, 'body', ['commands', index])
  if (Buffer.byteLength(JSON.stringify(value)) > BODY_BYTES_MAX)
    throw new AppError('payload_too_large', `a command may have at most ${BODY_BYTES_MAX} bytes`, {
      faults: [{ pointer: `/commands/${index}`, detail: 'too large' }],
    })
  return command
}

/** The same outcome, with its faults where the command stands in the body. */
function placed(decided: Decided, index: number): Decided {
  if (decided.status === 'fulfilled' || !(decided.reason instanceof AppError)) return decided
  if (decided.reason.faults.length === 0) return decided
  const { code, message, faults, cause } = decided.reason
  const moved = faults.map(({ pointer, detail }) => ({ pointer: `/commands/${index}${pointer}`, detail }))
  return { status: 'rejected', reason: new AppError(code, message, { faults: moved, cause }) }
}

function nextOf(left: Iterator<Decided>): Decided {
  const next = left.next()
  return next.done === true ? { status: 'rejected', reason: new Error('a command was not answered') } : next.value
}

/** Where nothing could be written, the request as a whole may be tried again. */
function refuseWhole(decided: readonly Decided[]): void {
  const reasons = decided.map((one) => (one.status === 'rejected' ? one.reason : null))
  if (reasons.every((reason) => reason instanceof AppError && reason.code === 'unavailable')) throw reasons[0]
}

type Find = (accepted: Accepted) => KnownCommand

/** Reads all that was accepted before, by one statement for each kind of thing. */
async function readRepeated(
  { database }: GatewayContext,
  { workspace }: Call<PostBatch>,
  decided: readonly Decided[],
): Promise<Find> {
  const repeated = decided.flatMap((one) =>
    one.status === 'fulfilled' && one.value.outcome === 'deduplicated' ? [one.value] : [],
  )
  const [tasks, runs, sessions] = await Promise.all([
    findTasks(database, workspace.id, [...new Set(repeated.map((one) => one.taskId))]),
    findRuns(database, workspace.id, [...new Set(repeated.map((one) => one.runId))]),
    findSessionRefs(database, workspace.id, [...new Set(repeated.flatMap((one) => one.sessionId ?? []))]),
  ])
  return (accepted) => {
    if (accepted.outcome === 'accepted') return { ...accepted, deduplicated: false }
    const task = tasks.get(accepted.taskId)
    const run = runs.get(accepted.runId)
    if (task === undefined) throw new AppError('task_not_found')
    if (run === undefined) throw new AppError('run_not_found')
    return { task, run, session: sessions.get(accepted.sessionId ?? '') ?? null, deduplicated: true }
  }
}

function resultOf({ engine }: GatewayContext, decided: Decided, requestId: string, find: Find): BatchResult {
  try {
    if (decided.status === 'rejected') throw decided.reason
    const known = find(decided.value)
    const body = { location: locationOf(known.run), ...acceptedBody(known) }
    return known.deduplicated
      ? { outcome: 'deduplicated', status: 200, ...body }
      : { outcome: 'accepted', status: 202, ...body }
  } catch (error) {
    const problem = problemOf(error, requestId)
    if (problem.code === 'internal_error')
      engine.log.error({ err: error, request_id: requestId }, 'a command of a batch failed')
    return { outcome: 'refused', ...problem }
  }
}
