import { agentLimitsSchema } from '@muster/contracts'
import { z } from 'zod'
import { agentConfigurationOf } from './agent-configuration.ts'
import type { NodeConfig } from './node-config.ts'
import { execute, executeOne, type Queryable } from './statement.ts'

/**
 * How far back an answer's `asOf` lies: a write takes its time when it begins and is seen when it commits, so each answer repeats the
 * last moments of the one before. Longer than any write takes.
 */
const OVERLAP = `interval '15 seconds'`
/** With no `since`, what was lately set back to the defaults is told too, so that no older word that is still on its way can stay. */
const LATE = `interval '10 minutes'`

const PLAIN = z
  .object({
    id: z.string(),
    concurrency_limit: z.int().nullable(),
    weight: z.number(),
    paused: z.boolean(),
    config_version: z.int(),
  })
  .transform(({ id, concurrency_limit, weight, paused, config_version }) => ({
    id,
    settings: { limit: concurrency_limit, weight, paused, version: config_version },
  }))

const NOW = {
  name: 'configuration_as_of',
  text: `SELECT now() - ${OVERLAP} AS as_of`,
  row: z.object({ as_of: z.date() }),
}
/** An agent that is deleted bounds nothing: each of its nodes is as if nobody had configured it. */
const AGENT = z
  .object({
    id: z.string(),
    limits: agentLimitsSchema,
    weight: z.number(),
    paused: z.boolean(),
    config_version: z.int(),
    deleted: z.boolean(),
  })
  .transform(({ config_version, deleted, ...agent }) => {
    const entries = agentConfigurationOf(agent, config_version)
    return deleted ? entries.map((entry): NodeConfig => ({ ...entry, limit: null, weight: 1, paused: false })) : entries
  })
const WORKSPACES = 'SELECT id, concurrency_limit, weight, paused, config_version FROM workspaces'
const AGENTS = 'SELECT id, limits, weight, paused, config_version, deleted_at IS NOT NULL AS deleted FROM agents'
const CLASSES =
  'SELECT key AS id, concurrency_limit, weight, paused, config_version FROM classes WHERE config_version > 0'
const LATELY = `configured_at > now() - ${LATE}`
const UNUSUAL = `(concurrency_limit IS NOT NULL OR weight <> 1 OR paused OR ${LATELY})`
const UNUSUAL_AGENT = `(deleted_at IS NULL AND (limits -> 'concurrency' <> 'null' OR limits -> 'lanes' <> '{}' OR weight <> 1 OR paused) OR ${LATELY})`

const ALL = {
  workspaces: { name: 'configured_workspaces', text: `${WORKSPACES} WHERE ${UNUSUAL}`, row: PLAIN },
  agents: { name: 'configured_agents', text: `${AGENTS} WHERE ${UNUSUAL_AGENT}`, row: AGENT },
  classes: { name: 'configured_classes', text: `${CLASSES} AND ${UNUSUAL}`, row: PLAIN },
}
const SINCE = {
  workspaces: { name: 'workspaces_configured_since', text: `${WORKSPACES} WHERE configured_at >= $1`, row: PLAIN },
  agents: { name: 'agents_configured_since', text: `${AGENTS} WHERE configured_at >= $1`, row: AGENT },
  classes: { name: 'classes_configured_since', text: `${CLASSES} AND configured_at >= $1`, row: PLAIN },
}

/**
 * All configuration written since a time that an earlier answer gave as `asOf`; with null, all that differs from the defaults. Nothing
 * is ever missed; an entry may be told again.
 */
export async function configurationSince(
  on: Queryable,
  since: Date | null,
): Promise<{ readonly entries: readonly NodeConfig[]; readonly asOf: Date }> {
  const { as_of: asOf } = await executeOne(on, NOW, [])
  const [statements, values] = since === null ? [ALL, []] : [SINCE, [since]]
  const workspaces = await execute(on, statements.workspaces, values)
  const agents = await execute(on, statements.agents, values)
  const classes = await execute(on, statements.classes, values)
  const entries: NodeConfig[] = [
    ...workspaces.map(({ id, settings }) => ({ node: { kind: 'workspace', workspaceId: id } as const, ...settings })),
    ...agents.flat(),
    ...classes.map(({ id, settings }) => ({ node: { kind: 'class', classKey: id } as const, ...settings })),
  ]
  return { entries, asOf }
}
