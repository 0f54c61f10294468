import { type Session, sessionSchema } from '@muster/contracts'
import { z } from 'zod'
import type { Database } from './database.ts'
import type { Session as SessionRow } from './generated/client.ts'
import { isSessionId, type ListFilter, whereAgent, whereCreated } from './list-filter.ts'
import { ordinaryRead } from './ordinary-read.ts'
import { type Page, type PageRequest, pageFrom } from './page.ts'
import { execute } from './statement.ts'

const WAITING = {
  name: 'session_waiting',
  text: `SELECT session_id, count(*)::integer AS waiting FROM runs
    WHERE session_id = ANY ($1) AND status = 'queued' AND session_order IS NOT NULL GROUP BY session_id`,
  row: z.object({ session_id: z.string(), waiting: z.int() }),
}
const ANY = {
  name: 'any_session',
  text: 'SELECT id, workspace_id FROM sessions WHERE id = $1',
  row: z.object({ id: z.string(), workspace_id: z.string() }),
}

/** A session with the number of its runs that have not started. */
export async function findSession(database: Database, workspaceId: string, id: string): Promise<Session | null> {
  const row = await ordinaryRead(() => database.prisma.session.findFirst({ where: { workspaceId, id } }))
  if (row === null) return null
  const waiting = await countWaiting(database, [row.id])
  return sessionOf(row, waiting.get(row.id) ?? 0)
}

/** What names a session in an answer. */
export type SessionRef = {
  readonly id: string
  readonly key: string
  readonly agent_id: string
  readonly agent_key: string
}

/** Those of these sessions that the workspace has, by id. */
export async function findSessionRefs(
  { prisma }: Database,
  workspaceId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, SessionRef>> {
  if (ids.length === 0) return new Map()
  const rows = await ordinaryRead(() => prisma.session.findMany({ where: { workspaceId, id: { in: [...ids] } } }))
  return new Map(
    rows.map(({ id, key, agentId, agentKey }) => [id, { id, key, agent_id: agentId, agent_key: agentKey }]),
  )
}

/** The workspace of a session, for operators, who act on any; null when there is no such session. */
export async function findSessionOwner(database: Database, id: string): Promise<string | null> {
  const [row] = await execute(database.pool, ANY, [id])
  return row?.workspace_id ?? null
}

export async function listSessions(
  database: Database,
  workspaceId: string,
  filter: ListFilter,
  page: PageRequest,
): Promise<Page<Session>> {
  const rows = await ordinaryRead(() =>
    database.prisma.session.findMany({
      where: {
        workspaceId,
        ...whereAgent(filter.agent),
        ...whereNamed(filter.session),
        ...whereCreated(filter),
        ...(page.before === null ? {} : { id: { lt: page.before } }),
      },
      orderBy: { id: 'desc' },
      take: page.limit + 1,
    }),
  )
  const waiting = await countWaiting(
    database,
    rows.map((row) => row.id),
  )
  return pageFrom(
    rows,
    page,
    (row) => row.id,
    (row) => sessionOf(row, waiting.get(row.id) ?? 0),
  )
}

/** The filter on a session itself, beside the cursor on its id. */
const whereNamed = (session: string | undefined) =>
  session === undefined ? {} : isSessionId(session) ? { AND: [{ id: session }] } : { key: session }

/** The filter on a session of tasks and runs: by id, or by a key that sessions of several agents may share. */
export async function whereSession(database: Database, workspaceId: string, session: string | undefined) {
  if (session === undefined) return {}
  if (isSessionId(session)) return { sessionId: session }
  const rows = await ordinaryRead(() =>
    database.prisma.session.findMany({ where: { workspaceId, key: session }, select: { id: true } }),
  )
  return { sessionId: { in: rows.map((row) => row.id) } }
}

async function countWaiting(database: Database, sessionIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (sessionIds.length === 0) return new Map()
  const rows = await execute(database.pool, WAITING, [sessionIds])
  return new Map(rows.map((row) => [row.session_id, row.waiting]))
}

const sessionOf = (row: SessionRow, waiting: number): Session =>
  sessionSchema.parse({
    id: row.id,
    key: row.key,
    agent_id: row.agentId,
    agent_key: row.agentKey,
    current_run_id: row.currentRunId,
    waiting,
    created_at: row.createdAt.toISOString(),
    last_active_at: row.lastActiveAt.toISOString(),
  })
