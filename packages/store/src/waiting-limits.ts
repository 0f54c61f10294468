import type { Agent } from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

/** A workspace or an agent, as far as it bounds what waits. */
export type WaitingScope =
  | { readonly kind: 'workspace'; readonly workspaceId: string }
  | { readonly kind: 'agent'; readonly workspaceId: string; readonly agentId: string }

/** `max`: queued runs at most; null where nothing bounds them any more. */
export type WaitingLimit = { readonly scope: WaitingScope; readonly max: number | null }

/** The limit that an agent's own settings say. */
export const waitingLimitOf = (agent: Agent): WaitingLimit => ({
  scope: { kind: 'agent', workspaceId: agent.workspace_id, agentId: agent.id },
  max: agent.limits.max_waiting,
})

/** A write takes its time when it begins and is seen when it commits: each answer repeats the last moments of the one before. */
const OVERLAP = `interval '15 seconds'`

const ROW = z
  .object({
    workspace_id: z.string(),
    agent_id: z.string().nullable(),
    max_waiting: z.int().nullable(),
    as_of: z.date(),
  })
  .transform(({ workspace_id: workspaceId, agent_id: agentId, max_waiting: max, as_of: asOf }) => ({
    asOf,
    limit: {
      max,
      scope: agentId === null ? { kind: 'workspace', workspaceId } : { kind: 'agent', workspaceId, agentId },
    } satisfies WaitingLimit,
  }))

/** Nothing waits for an agent that is deleted. */
const OF_AGENT = `CASE WHEN deleted_at IS NULL THEN limits ->> 'max_waiting' END`

const rowsOf = (which: (max: string) => string): string => `
  SELECT id AS workspace_id, NULL AS agent_id, max_waiting, now() - ${OVERLAP} AS as_of FROM workspaces WHERE ${which('max_waiting')}
  UNION ALL
  SELECT workspace_id, id, (${OF_AGENT})::integer, now() - ${OVERLAP} FROM agents WHERE ${which(OF_AGENT)}`

const ALL = { name: 'waiting_limits', text: rowsOf((max) => `${max} IS NOT NULL`), row: ROW }
const SINCE = { name: 'waiting_limits_since', text: rowsOf(() => 'configured_at >= $1'), row: ROW }
const NOW = {
  name: 'waiting_limits_as_of',
  text: `SELECT now() - ${OVERLAP} AS as_of`,
  row: z.object({ as_of: z.date() }),
}

/**
 * What bounds waiting runs: with null every limit there is, else what was written since a time that an earlier answer gave as `asOf`.
 * Nothing is missed; an entry may be told again.
 */
export async function waitingLimitsSince(
  on: Queryable,
  since: Date | null,
): Promise<{ readonly limits: readonly WaitingLimit[]; readonly asOf: Date }> {
  if (since !== null) {
    const rows = await execute(on, SINCE, [since])
    return { limits: rows.map((row) => row.limit), asOf: rows[0]?.asOf ?? since }
  }
  const [now] = await execute(on, NOW, [])
  const rows = await execute(on, ALL, [])
  return { limits: rows.map((row) => row.limit), asOf: now?.as_of ?? new Date(0) }
}
