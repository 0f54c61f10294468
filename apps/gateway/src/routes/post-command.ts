import type { ROUTES, Run, Task } from '@muster/contracts'
import { AppError, contractForTask, isRunOver } from '@muster/core'
import { findRun, findRunLog, findSession, findTask } from '@muster/store'
import type { GatewayContext } from '../gateway-context.ts'
import type { Call, Handler } from '../handler.ts'
import { idempotencyKeyOf } from '../http/idempotency-key.ts'
import { preferredWait } from '../http/preferred-wait.ts'
import { awaitEnd } from '../live/await-end.ts'

type PostCommand = typeof ROUTES.postCommand

export const postCommand: Handler<PostCommand> = async (context, call) => {
  const { workspace, body, header } = call
  const idempotencyKey = idempotencyKeyOf(header('idempotency-key'), body.idempotency_key)
  const accepted = await context.acceptor.accept({
    workspace,
    command: body,
    idempotencyKey,
    traceparent: call.traceparent,
  })
  const waitSeconds = preferredWait(header('prefer'))
  if (accepted.outcome === 'accepted') {
    if (waitSeconds === null) return answerOf(accepted, 202, waitSeconds)
    const { task, run, session } = accepted
    const ended = await awaitEnd(context.logs, { id: run.id, afterSeq: 1 }, waitSeconds * 1000, call.signal())
    const now = await reread(context, call, { taskId: task.id, runId: run.id }).catch(() => ({ task, run }))
    return answerOf({ ...now, session }, ended || isRunOver(now.run.status) ? 200 : 202, waitSeconds)
  }
  if (waitSeconds !== null) await awaitKnownRun(context, call, accepted.runId, waitSeconds)
  const known = await reread(context, call, accepted)
  const session =
    accepted.sessionId === null ? null : await findSession(context.database, workspace.id, accepted.sessionId)
  return answerOf({ ...known, session, deduplicated: true }, 200, waitSeconds)
}

type Known = {
  readonly task: Task
  readonly run: Run
  readonly session: { id: string; key: string; agent_id: string; agent_key: string } | null
  readonly deduplicated?: true
}

function answerOf<Status extends 200 | 202>(known: Known, status: Status, waitSeconds: number | null) {
  const { task, run, session } = known
  const { id, key, agent_id, agent_key } = session ?? {}
  const shown = id === undefined || key === undefined || agent_id === undefined || agent_key === undefined
  return {
    status,
    headers: {
      location: `/v1/runs/${run.id}`,
      ...(waitSeconds === null ? {} : { 'preference-applied': `wait=${waitSeconds}` }),
    },
    body: {
      task,
      run,
      ...(shown ? {} : { session: { id, key, agent_id, agent_key } }),
      deduplicated: known.deduplicated === true,
      agent_contract: contractForTask(task),
    },
  }
}

async function awaitKnownRun(
  context: GatewayContext,
  call: Call<PostCommand>,
  runId: string,
  waitSeconds: number,
): Promise<void> {
  const log = await findRunLog(context.database.pool, call.workspace.id, runId)
  if (log === null || isRunOver(log.status)) return
  await awaitEnd(context.logs, { id: runId, afterSeq: log.lastSeq }, waitSeconds * 1000, call.signal())
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
