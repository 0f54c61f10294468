import type { ROUTES, Run, Task } from '@muster/contracts'
import { AppError, isRunOver } from '@muster/core'
import type { Accepted } from '@muster/engine'
import { findRun, findRunLog, findSession, findTask } from '@muster/store'
import { acceptedBody, type KnownCommand, locationOf } from '../accepted-body.ts'
import type { GatewayContext } from '../gateway-context.ts'
import type { Answer, Call, Handler } from '../handler.ts'
import { idempotencyKeyOf } from '../http/idempotency-key.ts'
import { preferredWait } from '../http/preferred-wait.ts'
import { acceptsStream, STREAM_HEADERS } from '../live/accepts-stream.ts'
import { awaitEnd } from '../live/await-end.ts'
import { eventStream } from '../live/event-stream.ts'

type PostCommand = typeof ROUTES.postCommand
type Deduplicated = Extract<Accepted, { outcome: 'deduplicated' }>

export const postCommand: Handler<PostCommand> = async (context, call) => {
  const { workspace, body, header } = call
  const idempotencyKey = idempotencyKeyOf(header('idempotency-key'), body.idempotency_key)
  const accepted = await context.acceptor.accept({
    workspace,
    command: body,
    idempotencyKey,
    traceparent: call.traceparent,
  })
  if (acceptsStream(header('accept'))) return streamOf(context, call, await knownNow(context, call, accepted))
  const waitSeconds = preferredWait(header('prefer'))
  if (accepted.outcome === 'accepted') {
    const { task, run, session } = accepted
    if (waitSeconds === null) return answerOf({ task, run, session, deduplicated: false }, 202, waitSeconds)
    const ended = await awaitEnd(context.logs, { id: run.id, afterSeq: 1 }, waitSeconds * 1000, call)
    const now = await reread(context, call, { taskId: task.id, runId: run.id }).catch(() => ({ task, run }))
    const known = { ...now, session, deduplicated: false }
    return answerOf(known, ended || isRunOver(now.run.status) ? 200 : 202, waitSeconds)
  }
  if (waitSeconds !== null) await awaitKnownRun(context, call, accepted.runId, waitSeconds)
  return answerOf(await knownNow(context, call, accepted), 200, waitSeconds)
}

function answerOf(known: KnownCommand, status: 200 | 202, waitSeconds: number | null): Answer<PostCommand> {
  const headers = {
    location: locationOf(known.run),
    ...(waitSeconds === null ? {} : { 'preference-applied': `wait=${waitSeconds}` }),
  }
  const body = acceptedBody(known)
  return status === 200 ? { status, headers, body } : { status, headers, body }
}

/** The run's events from the first one on. What was accepted goes ahead of them, without an id, so that a client resumes as ever. */
function streamOf(
  { logs, engine }: GatewayContext,
  { onRefused }: Call<PostCommand>,
  known: KnownCommand,
): Answer<PostCommand> {
  const { run } = known
  const stream = eventStream({
    open: (signal) => logs.follow(run.id, 0, signal),
    log: engine.log,
    runId: run.id,
    onRefused,
    opening: { event: 'command.accepted', data: acceptedBody(known) },
  })
  return { status: 200, stream, headers: { ...STREAM_HEADERS, location: locationOf(run) } }
}

async function knownNow(context: GatewayContext, call: Call<PostCommand>, accepted: Accepted): Promise<KnownCommand> {
  if (accepted.outcome === 'accepted') return { ...accepted, deduplicated: false }
  const known = await reread(context, call, accepted)
  return { ...known, session: await sessionOf(context, call, accepted), deduplicated: true }
}

const sessionOf = async (
  { database }: GatewayContext,
  { workspace }: Call<PostCommand>,
  { sessionId }: Deduplicated,
) => (sessionId === null ? null : await findSession(database, workspace.id, sessionId))

async function awaitKnownRun(
  context: GatewayContext,
  call: Call<PostCommand>,
  runId: string,
  waitSeconds: number,
): Promise<void> {
  const log = await findRunLog(context.database.pool, call.workspace.id, runId)
  if (log === null || isRunOver(log.status)) return
  await awaitEnd(context.logs, { id: runId, afterSeq: log.lastSeq }, waitSeconds * 1000, call)
}

async function reread(
  { database }: GatewayContext,
  { workspace }: Call<PostCommand>,
  ids: { readonly taskId: string; readonly runId: string },
): Promise<{ task: Task; run: Run }> {
  const [task, run] = await Promise.all([
    findTask(database, workspace.id, ids.taskId),
    findRun(database, workspace.id, ids.runId),
  ])
  if (task === null) throw new AppError('task_not_found')
  if (run === null) throw new AppError('run_not_found')
  return { task, run }
}
