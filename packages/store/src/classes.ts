import { classPolicySchema, type ExecutionClass, type PatchClass } from '@muster/contracts'
import { z } from 'zod'
import type { Database } from './database.ts'
import { type ListFilter, whereAgent, whereText } from './list-filter.ts'
import type { Configured, NodeConfig } from './node-config.ts'
import { ordinaryRead } from './ordinary-read.ts'
import { type Page, type PageRequest, pageFrom } from './page.ts'
import { execute, executeOne } from './statement.ts'
import { transaction } from './transaction.ts'

/** A class as it is configured; what runs and waits in it is the gate's to say. */
export type ConfiguredClass = Pick<
  ExecutionClass,
  'key' | 'workspace_id' | 'agent_key' | 'lane' | 'policy' | 'limit' | 'weight' | 'paused'
>

const ROW = z.object({
  key: z.string(),
  workspace_id: z.string(),
  agent_key: z.string(),
  lane: z.string(),
  policy: classPolicySchema,
  concurrency_limit: z.int().nullable(),
  weight: z.number(),
  paused: z.boolean(),
  config_version: z.int(),
})
const LOCK = {
  name: 'lock_class',
  text: 'SELECT * FROM classes WHERE workspace_id = $1 AND key = $2 FOR UPDATE',
  row: ROW,
}
const UPDATE = {
  name: 'update_class',
  text: `UPDATE classes SET concurrency_limit = $2, weight = $3, paused = $4, config_version = nextval('config_version'), configured_at = clock_timestamp()
    WHERE key = $1 RETURNING *`,
  row: ROW,
}

/** Writes the fields that are given, null clears one; null when the workspace has no such class. */
export function patchClass(
  database: Database,
  workspaceId: string,
  key: string,
  patch: PatchClass,
): Promise<Configured<ConfiguredClass> | null> {
  return transaction(database.pool, async (on) => {
    const [old] = await execute(on, LOCK, [workspaceId, key])
    if (old === undefined) return null
    const row = await executeOne(on, UPDATE, [
      key,
      patch.limit === undefined ? old.concurrency_limit : patch.limit,
      patch.weight === undefined ? old.weight : (patch.weight ?? 1),
      patch.paused === undefined ? old.paused : (patch.paused ?? false),
    ])
    return { resource: classOf(row), configuration: [classConfig(row)] }
  })
}

/** The classes of a workspace, by key from the last to the first. */
export async function listClasses(
  { prisma }: Database,
  workspaceId: string,
  filter: ListFilter,
  page: PageRequest,
): Promise<Page<ConfiguredClass>> {
  const rows = await ordinaryRead(() =>
    prisma.executionClass.findMany({
      where: {
        workspaceId,
        ...whereAgent(filter.agent),
        ...whereText('lane', filter.lane),
        ...(page.before === null ? {} : { key: { lt: page.before } }),
      },
      orderBy: { key: 'desc' },
      take: page.limit + 1,
    }),
  )
  return pageFrom(
    rows,
    page,
    (row) => row.key,
    (row) => ({
      key: row.key,
      workspace_id: row.workspaceId,
      agent_key: row.agentKey,
      lane: row.lane,
      policy: classPolicySchema.parse(row.policy),
      limit: row.limit,
      weight: row.weight,
      paused: row.paused,
    }),
  )
}

type Row = z.infer<typeof ROW>

const classConfig = (row: Row): NodeConfig => ({
  node: { kind: 'class', classKey: row.key },
  limit: row.concurrency_limit,
  weight: row.weight,
  paused: row.paused,
  version: row.config_version,
})

const classOf = (row: Row): ConfiguredClass => ({
  key: row.key,
  workspace_id: row.workspace_id,
  agent_key: row.agent_key,
  lane: row.lane,
  policy: row.policy,
  limit: row.concurrency_limit,
  weight: row.weight,
  paused: row.paused,
})
