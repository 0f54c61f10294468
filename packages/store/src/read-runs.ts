import { keptObjectSchema, keptValueSchema, type Run, runSchema } from '@muster/contracts'
import { NO_USAGE } from '@muster/core'
import type { Database } from './database.ts'
import { firstIdAt } from './first-id-at.ts'
import type { Run as RunRow } from './generated/client.ts'
import { type ListFilter, whereAgent, whereText } from './list-filter.ts'
import { ordinaryRead } from './ordinary-read.ts'
import type { Page, PageRequest } from './page.ts'
import { pageOfIds } from './page-of-ids.ts'
import { whereSession } from './read-sessions.ts'

const RESOURCE = runSchema.extend({ metadata: keptObjectSchema, output: keptValueSchema.nullable() })

export async function findRun({ prisma }: Database, workspaceId: string, id: string): Promise<Run | null> {
  const row = await ordinaryRead(() => prisma.run.findFirst({ where: { workspaceId, id } }))
  return row === null ? null : runOf(row)
}

/** Those of these runs that the workspace has, by id. */
export async function findRuns(
  { prisma }: Database,
  workspaceId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Run>> {
  if (ids.length === 0) return new Map()
  const rows = await ordinaryRead(() => prisma.run.findMany({ where: { workspaceId, id: { in: [...ids] } } }))
  return new Map(rows.map((row) => [row.id, runOf(row)]))
}

/** A run's time of creation is the one in its id. */
export async function listRuns(
  database: Database,
  workspaceId: string,
  filter: ListFilter,
  page: PageRequest,
): Promise<Page<Run>> {
  const session = await whereSession(database, workspaceId, filter.session)
  const { createdAfter, createdBefore } = filter
  const where = {
    workspaceId,
    ...whereAgent(filter.agent),
    ...whereText('status', filter.status),
    ...whereText('lane', filter.lane),
    ...whereText('label', filter.label),
    ...session,
    AND: [
      page.before === null ? {} : { id: { lt: page.before } },
      createdAfter === undefined ? {} : { id: { gte: firstIdAt('run', createdAfter) } },
      createdBefore === undefined ? {} : { id: { lt: firstIdAt('run', createdBefore) } },
    ],
  }
  const { run } = database.prisma
  return pageOfIds(database, 'runs', page, {
    ids: () => run.findMany({ where, orderBy: { id: 'desc' }, take: page.limit + 1, select: { id: true } }),
    rows: (ids) => run.findMany({ where: { ...where, id: { in: ids } } }),
    itemOf: runOf,
  })
}

const runOf = (row: RunRow): Run =>
  RESOURCE.parse({
    id: row.id,
    task_id: row.taskId,
    session_id: row.sessionId,
    agent_id: row.agentId,
    agent_key: row.agentKey,
    agent_version: row.agentVersion,
    lane: row.lane,
    class_key: row.classKey,
    pool: row.pool,
    status: row.status,
    generation: row.generation,
    attempt_count: row.attemptCount,
    max_attempts: row.maxAttempts,
    priority: row.priority,
    message: row.message,
    attachments: row.attachments ?? [],
    policy: row.policy,
    timeout_ms: row.timeoutMs,
    not_before: row.notBefore?.toISOString() ?? null,
    expires_at: row.expiresAt?.toISOString() ?? null,
    queued_at: row.queuedAt.toISOString(),
    started_at: row.startedAt?.toISOString() ?? null,
    ended_at: row.endedAt?.toISOString() ?? null,
    node_id: row.nodeId,
    cancel_requested_at: row.cancelRequestedAt?.toISOString() ?? null,
    output: row.output,
    output_truncated: row.outputTruncated,
    failure: row.failure,
    usage: row.usage ?? NO_USAGE,
    label: row.label,
    metadata: row.metadata,
  })
