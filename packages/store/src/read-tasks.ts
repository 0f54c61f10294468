import { keptObjectSchema, keptValueSchema, type Task, taskSchema } from '@muster/contracts'
import type { Database } from './database.ts'
import type { Task as TaskRow } from './generated/client.ts'
import { type ListFilter, whereAgent, whereCreated, whereText } from './list-filter.ts'
import { ordinaryRead } from './ordinary-read.ts'
import type { Page, PageRequest } from './page.ts'
import { newestFirst, pageOfIds } from './page-of-ids.ts'
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

/** What a list of tasks is narrowed to; archived ones are shown only with `all`. */
export type TaskFilter = ListFilter & { readonly show: 'unarchived' | 'all' }

/** Two short reads of ids where archived tasks are wanted too, since each has an index of its own; in one snapshot, so that no task is in both or in none. */
export async function listTasks(
  database: Database,
  workspaceId: string,
  filter: TaskFilter,
  page: PageRequest,
): Promise<Page<Task>> {
  const session = await whereSession(database, workspaceId, filter.session)
  const where = {
    workspaceId,
    ...whereAgent(filter.agent),
    ...whereText('status', filter.status),
    ...whereText('lane', filter.lane),
    ...whereText('label', filter.label),
    ...session,
    ...whereCreated(filter),
    ...(page.before === null ? {} : { id: { lt: page.before } }),
  }
  const { task } = database.prisma
  const idsOf = (archivedAt: null | { not: null }) =>
    task.findMany({
      where: { ...where, archivedAt },
      orderBy: { id: 'desc' },
      take: page.limit + 1,
      select: { id: true },
    })
  return pageOfIds(database, 'tasks', page, {
    ids: async () => {
      if (filter.show === 'unarchived') return idsOf(null)
      const both = [idsOf(null), idsOf({ not: null })]
      const found = await database.prisma.$transaction(both, { isolationLevel: 'RepeatableRead' })
      return found
        .flat()
        .sort(newestFirst)
        .slice(0, page.limit + 1)
    },
    rows: (ids) =>
      task.findMany({ where: { ...where, id: { in: ids }, ...(filter.show === 'all' ? {} : { archivedAt: null }) } }),
    itemOf: taskOf,
  })
}

type ShownTask = Omit<TaskRow, 'attachments'>

const taskOf = (row: ShownTask): Task =>
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
