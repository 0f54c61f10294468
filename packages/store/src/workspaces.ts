import type { CreateWorkspace, PatchWorkspace, Workspace } from '@muster/contracts'
import { idPattern, workspaceSchema } from '@muster/contracts'
import { AppError, newId } from '@muster/core'
import { z } from 'zod'
import type { Database } from './database.ts'
import type { Workspace as WorkspaceRow } from './generated/client.ts'
import { type Configured, isDefaultConfig, type NodeConfig } from './node-config.ts'
import { ordinaryRead } from './ordinary-read.ts'
import { type Page, type PageRequest, pageFrom } from './page.ts'
import { execute, executeOne } from './statement.ts'
import { transaction } from './transaction.ts'

const ROW = z.object({
  id: z.string(),
  key: z.string(),
  name: z.string(),
  concurrency_limit: z.int().nullable(),
  max_waiting: z.int().nullable(),
  weight: z.number(),
  paused: z.boolean(),
  config_version: z.int(),
  created_at: z.date(),
})
const INSERT = {
  name: 'insert_workspace',
  text: `INSERT INTO workspaces (id, key, name, concurrency_limit, weight, paused, max_waiting) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (key) DO NOTHING RETURNING *`,
  row: ROW,
}
const LOCK = { name: 'lock_workspace', text: 'SELECT * FROM workspaces WHERE id = $1 FOR UPDATE', row: ROW }
const UPDATE = {
  name: 'update_workspace',
  text: `UPDATE workspaces SET name = $2, concurrency_limit = $3, weight = $4, paused = $5, max_waiting = $6,
      config_version = nextval('config_version'), configured_at = clock_timestamp()
    WHERE id = $1 RETURNING *`,
  row: ROW,
}
const CALLER = {
  name: 'workspace_caller',
  text: 'SELECT id, key FROM workspaces WHERE id = $1 OR key = $1 ORDER BY id = $1 DESC LIMIT 1',
  row: z.object({ id: z.string(), key: z.string() }),
}

/** The workspace in whose name a request acts. */
export type WorkspaceCaller = { readonly id: string; readonly key: string }

/** Throws `workspace_exists` when the key is taken. */
export async function createWorkspace(database: Database, input: CreateWorkspace): Promise<Configured<Workspace>> {
  const [row] = await execute(database.pool, INSERT, [
    newId('workspace'),
    input.key,
    input.name ?? input.key,
    input.limits?.concurrency ?? null,
    input.weight ?? 1,
    input.paused ?? false,
    input.limits?.max_waiting ?? null,
  ])
  if (row === undefined) throw new AppError('workspace_exists', `a workspace has the key "${input.key}" already`)
  const config = workspaceConfig(row)
  return { resource: workspaceOf(row), configuration: isDefaultConfig(config) ? [] : [config] }
}

/** Writes the fields that are given; null when there is no such workspace. */
export function patchWorkspace(
  database: Database,
  id: string,
  patch: PatchWorkspace,
): Promise<Configured<Workspace> | null> {
  return transaction(database.pool, async (on) => {
    const [old] = await execute(on, LOCK, [id])
    if (old === undefined) return null
    const row = await executeOne(on, UPDATE, [
      id,
      patch.name ?? old.name,
      patch.limits?.concurrency === undefined ? old.concurrency_limit : patch.limits.concurrency,
      patch.weight ?? old.weight,
      patch.paused ?? old.paused,
      patch.limits?.max_waiting === undefined ? old.max_waiting : patch.limits.max_waiting,
    ])
    return { resource: workspaceOf(row), configuration: [workspaceConfig(row)] }
  })
}

/** A workspace by id or key. */
export async function findWorkspace({ prisma }: Database, idOrKey: string): Promise<Workspace | null> {
  const where = idPattern('workspace').test(idOrKey) ? { id: idOrKey } : { key: idOrKey }
  const row = await ordinaryRead(() => prisma.workspace.findUnique({ where }))
  return row === null ? null : workspaceOf(rowOf(row))
}

export async function listWorkspaces({ prisma }: Database, page: PageRequest): Promise<Page<Workspace>> {
  const rows = await ordinaryRead(() =>
    prisma.workspace.findMany({
      where: page.before === null ? {} : { id: { lt: page.before } },
      orderBy: { id: 'desc' },
      take: page.limit + 1,
    }),
  )
  return pageFrom(
    rows,
    page,
    (row) => row.id,
    (row) => workspaceOf(rowOf(row)),
  )
}

/** Id and key of the workspace that an operator names by either. */
export async function findWorkspaceCaller(database: Database, idOrKey: string): Promise<WorkspaceCaller | null> {
  const [row] = await execute(database.pool, CALLER, [idOrKey])
  return row ?? null
}

type Row = z.infer<typeof ROW>

const workspaceConfig = (row: Row): NodeConfig => ({
  node: { kind: 'workspace', workspaceId: row.id },
  limit: row.concurrency_limit,
  weight: row.weight,
  paused: row.paused,
  version: row.config_version,
})

const rowOf = (row: WorkspaceRow): Row => ({
  id: row.id,
  key: row.key,
  name: row.name,
  concurrency_limit: row.concurrencyLimit,
  max_waiting: row.maxWaiting,
  weight: row.weight,
  paused: row.paused,
  config_version: Number(row.configVersion),
  created_at: row.createdAt,
})

const workspaceOf = (row: Row): Workspace =>
  workspaceSchema.parse({
    id: row.id,
    key: row.key,
    name: row.name,
    limits: { concurrency: row.concurrency_limit, max_waiting: row.max_waiting },
    weight: row.weight,
    paused: row.paused,
    created_at: row.created_at.toISOString(),
  })
