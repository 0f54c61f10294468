import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Agent,
  type AgentLimits,
  agentSchema,
  type CreateAgent,
  idPattern,
  keptAgentConfigSchema,
  type PatchAgent,
} from '@muster/contracts'
import { AppError, newId } from '@muster/core'
import { z } from 'zod'
import { agentConfigurationOf } from './agent-configuration.ts'
import type { Database } from './database.ts'
import { mergeAgentConfig, mergeAgentLimits } from './merge-agent.ts'
import { type Configured, isDefaultConfig } from './node-config.ts'
import { ordinaryRead } from './ordinary-read.ts'
import type { Page, PageRequest } from './page.ts'
import { pageOfIds } from './page-of-ids.ts'
import { execute, executeOne } from './statement.ts'
import { timestamp } from './timestamp.ts'
import { transaction } from './transaction.ts'

const COLUMNS =
  'id, workspace_id, key, name, config, limits, weight, active, paused, version, config_version, created_at, updated_at'
const RESOURCE = agentSchema.extend({ config: keptAgentConfigSchema })
const ROW = z
  .object({ created_at: timestamp, updated_at: timestamp, config_version: z.int() })
  .loose()
  .transform(({ config_version, ...agent }) => ({ agent: RESOURCE.parse(agent), configVersion: config_version }))

const INSERT = {
  name: 'insert_agent',
  text: `WITH made AS (
      INSERT INTO agents (id, workspace_id, key, name, config, limits, weight, active, paused) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
      ON CONFLICT (workspace_id, key) WHERE deleted_at IS NULL DO NOTHING RETURNING ${COLUMNS}
    ), kept AS (
      INSERT INTO agent_versions (agent_id, version, config) SELECT id, version, config FROM made
    ) SELECT * FROM made`,
  row: ROW,
}
const LOCK = {
  name: 'lock_agent',
  text: `SELECT ${COLUMNS} FROM agents WHERE workspace_id = $1 AND deleted_at IS NULL AND (id = $2 OR key = $3) FOR UPDATE`,
  row: ROW,
}
const UPDATE = {
  name: 'update_agent',
  text: `WITH made AS (
      UPDATE agents SET name = $2, config = $3, limits = $4, weight = $5, active = $6, paused = $7, version = $8, updated_at = now(),
        config_version = nextval('config_version'), configured_at = clock_timestamp()
      WHERE id = $1 RETURNING ${COLUMNS}
    ), kept AS (
      INSERT INTO agent_versions (agent_id, version, config) SELECT id, version, config FROM made ON CONFLICT DO NOTHING
    ) SELECT * FROM made`,
  row: ROW,
}
const DELETE = {
  name: 'delete_agent',
  text: `UPDATE agents a SET deleted_at = now(), updated_at = now() FROM workspaces w WHERE a.id = $1 AND w.id = a.workspace_id
      AND NOT EXISTS (SELECT FROM runs r WHERE r.status = 'queued' AND r.agent_id = $1
        AND r.job_name >= (w.key || '/' || a.key || '/') COLLATE "C" AND r.job_name < (w.key || '/' || a.key || '0') COLLATE "C")
      AND NOT EXISTS (SELECT FROM runs WHERE agent_id = $1 AND status IN ('running', 'waiting'))
    RETURNING a.id`,
  row: z.object({ id: z.string() }),
}
const NOW = { name: 'clock', text: 'SELECT clock_timestamp()::text AS now', row: z.object({ now: z.string() }) }
/** Accepts that began before a time, and so may know an agent that was deleted since. */
const ACCEPTING = {
  name: 'accepting_since_before',
  text: `SELECT count(*)::integer AS n FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND query_start < $1::timestamptz AND query LIKE '%accept_commands(%' AND pid <> pg_backend_pid()`,
  row: z.object({ n: z.int() }),
}
const RESTORE = {
  name: 'restore_agent',
  text: `UPDATE agents a SET deleted_at = NULL, updated_at = now()
    WHERE a.id = $1 AND EXISTS (SELECT FROM runs WHERE agent_id = $1 AND status IN ('queued', 'running', 'waiting'))
      AND NOT EXISTS (SELECT FROM agents o WHERE o.workspace_id = a.workspace_id AND o.key = a.key AND o.deleted_at IS NULL) RETURNING a.id`,
  row: z.object({ id: z.string() }),
}
/** Nobody may have been told while it could still come back: a paused agent's runs would have started. */
const UNCONFIGURE = {
  name: 'unconfigure_agent',
  text: `UPDATE agents SET config_version = nextval('config_version'), configured_at = clock_timestamp() WHERE id = $1 AND deleted_at IS NOT NULL RETURNING id`,
  row: z.object({ id: z.string() }),
}

const ASK_AGAIN_MS = 10
/** An accept takes milliseconds, unless it waits for a session. */
const ACCEPTS_MS_MAX = 3000

const NO_LIMITS: AgentLimits = { concurrency: null, max_waiting: null, lanes: {} }

/** Makes version 1 of an agent; throws `agent_exists` when the workspace has an agent of that key. */
export async function createAgent(
  database: Database,
  workspaceId: string,
  input: CreateAgent,
): Promise<Configured<Agent>> {
  const [row] = await execute(database.pool, INSERT, [
    newId('agent'),
    workspaceId,
    input.key,
    input.name ?? input.key,
    JSON.stringify(input.config),
    JSON.stringify({ ...NO_LIMITS, ...input.limits }),
    input.weight ?? 1,
    input.active ?? true,
    input.paused ?? false,
  ])
  if (row === undefined)
    throw new AppError('agent_exists', `an agent of this workspace has the key "${input.key}" already`)
  const configuration = agentConfigurationOf(row.agent, row.configVersion).filter((config) => !isDefaultConfig(config))
  return { resource: row.agent, configuration }
}

/** Writes the fields that are given; a `config` makes a new version. Null when there is no such agent. */
export function patchAgent(
  database: Database,
  workspaceId: string,
  idOrKey: string,
  patch: PatchAgent,
): Promise<Configured<Agent> | null> {
  return transaction(database.pool, async (on) => {
    const [old] = await execute(on, LOCK, [workspaceId, ...idAndKey(idOrKey)])
    if (old === undefined) return null
    const row = await executeOne(on, UPDATE, [
      old.agent.id,
      patch.name ?? old.agent.name,
      JSON.stringify(patch.config === undefined ? old.agent.config : mergeAgentConfig(old.agent.config, patch.config)),
      JSON.stringify(patch.limits === undefined ? old.agent.limits : mergeAgentLimits(old.agent.limits, patch.limits)),
      patch.weight ?? old.agent.weight,
      patch.active ?? old.agent.active,
      patch.paused ?? old.agent.paused,
      old.agent.version + (patch.config === undefined ? 0 : 1),
    ])
    return { resource: row.agent, configuration: agentConfigurationOf(row.agent, row.configVersion) }
  })
}

/**
 * Takes an agent out of the lists; its runs stay readable. Refused (`busy`) while it has unfinished runs, also those of commands that were
 * being accepted meanwhile: an accept locks no agent, so these are waited for, and the agent is back if there are any.
 */
export async function deleteAgent(
  database: Database,
  workspaceId: string,
  idOrKey: string,
): Promise<'deleted' | 'busy' | 'absent'> {
  const { pool } = database
  const marked = await transaction(pool, async (on) => {
    const [old] = await execute(on, LOCK, [workspaceId, ...idAndKey(idOrKey)])
    if (old === undefined) return 'absent'
    const [gone] = await execute(on, DELETE, [old.agent.id])
    return gone ?? 'busy'
  })
  if (typeof marked === 'string') return marked
  const { now } = await executeOne(pool, NOW, [])
  const deadline = performance.now() + ACCEPTS_MS_MAX
  while ((await executeOne(pool, ACCEPTING, [now])).n > 0 && performance.now() < deadline) await sleep(ASK_AGAIN_MS)
  if ((await execute(pool, RESTORE, [marked.id])).length > 0) return 'busy'
  await execute(pool, UNCONFIGURE, [marked.id])
  return 'deleted'
}

/** An agent that is not deleted, by id or key. */
export async function findAgent({ prisma }: Database, workspaceId: string, idOrKey: string): Promise<Agent | null> {
  const row = await ordinaryRead(() => prisma.agent.findFirst({ where: whereOne(workspaceId, idOrKey) }))
  return row === null ? null : agentOf(row)
}

/** Agents that are not deleted, each under the id or key that it was asked by; those that are not there are absent. */
export async function findAgents(
  { prisma }: Database,
  workspaceId: string,
  idsOrKeys: readonly string[],
): Promise<ReadonlyMap<string, Agent>> {
  const isId = (name: string): boolean => idPattern('agent').test(name)
  const ids = idsOrKeys.filter(isId)
  const keys = idsOrKeys.filter((name) => !isId(name))
  const OR = [...(ids.length === 0 ? [] : [{ id: { in: ids } }]), ...(keys.length === 0 ? [] : [{ key: { in: keys } }])]
  const rows = await ordinaryRead(() => prisma.agent.findMany({ where: { workspaceId, deletedAt: null, OR } }))
  const found = rows.map(agentOf)
  const byId = new Map(found.map((agent) => [agent.id, agent]))
  const byKey = new Map(found.map((agent) => [agent.key, agent]))
  const named = new Map<string, Agent>()
  for (const name of idsOrKeys) {
    const agent = isId(name) ? byId.get(name) : byKey.get(name)
    if (agent !== undefined) named.set(name, agent)
  }
  return named
}

export function listAgents(database: Database, workspaceId: string, page: PageRequest): Promise<Page<Agent>> {
  const where = { workspaceId, deletedAt: null, ...(page.before === null ? {} : { id: { lt: page.before } }) }
  const { agent } = database.prisma
  return pageOfIds(database, 'agents', page, {
    ids: () => agent.findMany({ where, orderBy: { id: 'desc' }, take: page.limit + 1, select: { id: true } }),
    rows: (ids) => agent.findMany({ where: { ...where, id: { in: ids } } }),
    itemOf: agentOf,
  })
}

/** An id or null, and a key or null: a text in the form of an id never names an agent by key. */
const idAndKey = (idOrKey: string): readonly [string | null, string | null] =>
  idPattern('agent').test(idOrKey) ? [idOrKey, null] : [null, idOrKey]

const whereOne = (workspaceId: string, idOrKey: string) => ({
  workspaceId,
  deletedAt: null,
  ...(idPattern('agent').test(idOrKey) ? { id: idOrKey } : { key: idOrKey }),
})

type PrismaAgent = NonNullable<Awaited<ReturnType<Database['prisma']['agent']['findFirst']>>>

const agentOf = (row: PrismaAgent): Agent =>
  RESOURCE.parse({
    id: row.id,
    workspace_id: row.workspaceId,
    key: row.key,
    name: row.name,
    config: row.config,
    limits: row.limits,
    weight: row.weight,
    active: row.active,
    paused: row.paused,
    version: row.version,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  })
