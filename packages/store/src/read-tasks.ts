import { keptObjectSchema, keptValueSchema, type Task, taskSchema } from '@muster/contracts'
import type { Database } from './database.ts'
import type { Task as TaskRow } from './generated/client.ts'
import { type ListFilter, whereAgent, whereCreated, whereText } from './list-filter.ts'
import { ordinaryRead } from './ordinary-read.ts'
import { type Page, type PageRequest, pageFrom } from './page.ts'
import { whereSession } from './read-sessions.ts'

const RESOURCE = taskSchema.extend({ metadata: keptObjectSchema, output: keptValueSchema.nullable() })

export async function findTask({ prisma }: Database, workspaceId: string, id: string): Promise<Task | null> {
  const row = await ordinaryRead(() => prisma.task.findFirst({ where: { workspaceId, id } }))
  return row === null ? null : taskOf(row)
}

/** Those of these tasks that the workspace has, by id. */
export async function findTasks(
  { prisma }: Database,
  workspaceId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Task>> {
  if (ids.length === 0) return new Map()
  const rows = await ordinaryRead(() => prisma.task.findMany({ where: { workspaceId, id: { in: [...ids] } } }))
  return new Map(rows.map((row) => [row.id, taskOf(row)]))
}

export async function listTasks(
  database: Database,
  workspaceId: string,
  filter: ListFilter,
  page: PageRequest,
): Promise<Page<Task>> {
  const session = await whereSession(database, workspaceId, filter.session)
  const rows = await ordinaryRead(() =>
    database.prisma.task.findMany({
      where: {
        workspaceId,
        ...whereAgent(filter.agent),
        ...whereText('status', filter.status),
        ...whereText('lane', filter.lane),
        ...whereText('label', filter.label),
        ...session,
        ...whereCreated(filter),
        ...(page.before === null ? {} : { id: { lt: page.before } }),
      },
      orderBy: { id: 'desc' },
      take: page.limit + 1,
    }),
  )
  return pageFrom(rows, page, (row) => row.id, taskOf)
}

const taskOf = (row: Omit<TaskRow, 'attachments'>): Task =>
  RESOURCE.parse({
    id: row.id,
    workspace_id: row.workspaceId,
    agent_id: row.agentId,
    agent_key: row.agentKey,
    type: row.type,
    status: row.status,
    run_id: row.runId,
    session_id: row.sessionId,
    label: row.label,
    priority: row.priority,
    metadata: row.metadata,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    archived_at: row.archivedAt?.toISOString() ?? null,
    output: row.output,
    failure: row.failure,
  })
