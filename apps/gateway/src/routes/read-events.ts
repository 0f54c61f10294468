import { eventSeqSchema, type ROUTES } from '@muster/contracts'
import { AppError, isRunOver } from '@muster/core'
import { findRunLog, type RunLog, readEvents as read } from '@muster/store'
import { contractForRun } from '../contract-for-run.ts'
import type { GatewayContext } from '../gateway-context.ts'
import type { Answer, Call, Handler } from '../handler.ts'
import { faultsOf } from '../http/faults-of.ts'
import { acceptsStream, STREAM_HEADERS } from '../live/accepts-stream.ts'
import { eventStream } from '../live/event-stream.ts'

type ReadEvents = typeof ROUTES.readEvents

export const readEvents: Handler<ReadEvents> = async (context, call) => {
  const { workspace, params, query, header } = call
  const asked = lastEventId(header('last-event-id')) ?? query.after ?? 0
  const log = await findRunLog(context.database.pool, workspace.id, params.run_id)
  if (log === null) throw new AppError('run_not_found')
  // past the log nothing would ever follow, not even the end
  const afterSeq = Math.min(asked, log.lastSeq)
  return acceptsStream(header('accept'))
    ? streamOf(context, call, log, afterSeq)
    : pageOf(context, workspace.id, log, { afterSeq, limit: query.limit })
}

function streamOf(
  { logs, engine }: GatewayContext,
  { onRefused }: Call<ReadEvents>,
  log: RunLog,
  afterSeq: number,
): Answer<ReadEvents> {
  if (isRunOver(log.status) && afterSeq >= log.lastSeq) return { status: 204, body: null }
  const stream = eventStream({
    open: (signal) => logs.follow(log.id, afterSeq, signal),
    log: engine.log,
    runId: log.id,
    onRefused,
  })
  return { status: 200, stream, headers: STREAM_HEADERS }
}

async function pageOf(
  { database }: GatewayContext,
  workspaceId: string,
  log: RunLog,
  { afterSeq, limit }: { readonly afterSeq: number; readonly limit: number },
): Promise<Answer<ReadEvents>> {
  const events = await read(database.pool, log.id, afterSeq, limit + 1)
  const data = events.slice(0, limit)
  return {
    status: 200,
    body: {
      data,
      next_after: data.at(-1)?.seq ?? afterSeq,
      has_more: events.length > limit,
      agent_contract: await contractForRun(database, workspaceId, {
        id: log.id,
        task_id: log.taskId,
        status: log.status,
      }),
    },
  }
}

function lastEventId(header: string | null): number | null {
  if (header === null || header === '') return null
  const parsed = eventSeqSchema.safeParse(header)
  if (parsed.success) return parsed.data
  const faults = faultsOf(parsed.error.issues, 'header').map(({ detail }) => ({
    pointer: 'header/last-event-id',
    detail,
  }))
  throw new AppError('invalid_request', 'the header Last-Event-ID is not the number of an event', { faults })
}
