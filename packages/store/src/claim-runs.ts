import {
  agentConfigSchema,
  attachmentInfoSchema,
  keptObjectSchema,
  keptValueSchema,
  policySchema,
  usageSchema,
} from '@muster/contracts'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

/** A run as its claimer holds it: all that an execution needs. */
export const claimedRunSchema = z.object({
  run_id: z.string(),
  task_id: z.string(),
  task_type: z.string(),
  workspace_id: z.string(),
  agent_id: z.string(),
  agent_key: z.string(),
  agent_version: z.int(),
  session_id: z.string().nullable(),
  session_key: z.string().nullable(),
  lane: z.string(),
  generation: z.int(),
  admission: z.int(),
  attempt_number: z.int(),
  attempt_count: z.int(),
  max_attempts: z.int(),
  losses: z.int(),
  hand_backs: z.int(),
  /** Number of the `run.started` event of this claim. */
  seq: z.int(),
  started_at: z.coerce.date(),
  message: z.string(),
  extra_system_prompt: z.string().nullable(),
  policy: policySchema,
  timeout_ms: z.int(),
  label: z.string().nullable(),
  metadata: keptObjectSchema,
  usage: usageSchema.nullable(),
  config: agentConfigSchema,
  state: keptValueSchema.nullable(),
  /** Since when the run could have started. */
  ready_at: z.coerce.date(),
  /** When the worker that lost the run was last heard of; null unless an attempt was lost. */
  lost_at: z.coerce.date().nullable(),
  /** The trace context in which its command was accepted. */
  traceparent: z.string().nullable(),
  /** What came with its command. */
  attachments: z
    .array(attachmentInfoSchema)
    .nullable()
    .transform((list) => list ?? []),
  /** The last earlier attempt in this run's folder, if any: what it left may have to be killed first. */
  previous: z
    .object({ run_id: z.string(), generation: z.int(), status: z.string(), host_identity: z.string().nullable() })
    .nullable(),
})
export type ClaimedRun = z.infer<typeof claimedRunSchema>

const STATEMENT = {
  name: 'claim_runs',
  text: 'SELECT * FROM claim_runs($1, $2)',
  row: z.object({
    run_id: z.string(),
    admission: z.int(),
    verdict: z.enum(['claimed', 'mine', 'taken', 'refused', 'node_dead']),
    claimed: z.unknown(),
  }),
}

export type Claim = { readonly runId: string; readonly admission: number }
const HELD = z.object({ generation: z.int() })
export type ClaimVerdict =
  | { readonly verdict: 'claimed' | 'mine'; readonly run: ClaimedRun }
  /** Claimed, but what is stored of the run cannot be read: it can only be ended. */
  | { readonly verdict: 'unreadable'; readonly generation: number; readonly problem: string }
  | { readonly verdict: 'taken' | 'refused' | 'node_dead' }

/** Claims runs for a node, one verdict an item, in order: `queued -> running`, the generation raised, the attempt opened. */
export async function claimRuns(
  on: Queryable,
  nodeId: string,
  claims: readonly Claim[],
): Promise<readonly ClaimVerdict[]> {
  const items = claims.map((claim) => ({ run_id: claim.runId, admission: claim.admission }))
  const rows = await execute(on, STATEMENT, [nodeId, JSON.stringify(items)])
  return claims.map((claim) => {
    const row = rows.find((each) => each.run_id === claim.runId && each.admission === claim.admission)
    if (row === undefined) throw new Error(`claim of ${claim.runId} was not answered`)
    if (row.verdict !== 'claimed' && row.verdict !== 'mine') return { verdict: row.verdict }
    const run = claimedRunSchema.safeParse(row.claimed)
    if (run.success) return { verdict: row.verdict, run: run.data }
    return {
      verdict: 'unreadable',
      generation: HELD.parse(row.claimed).generation,
      problem: z.prettifyError(run.error),
    }
  })
}
