import {
  type AgentConfig,
  attachmentInfoSchema,
  keptObjectSchema,
  keptValueSchema,
  type Policy,
  policySchema,
  usageSchema,
} from '@muster/contracts'
import { z } from 'zod'
import { AgentVersions } from './agent-versions.ts'
import { ParsedTexts } from './parsed-texts.ts'
import { execute, type Queryable } from './statement.ts'

/** What came before a claim, in its run and its session. */
const pastSchema = z.object({
  session_key: z.string().nullable(),
  named_at: z.coerce.date().nullable(),
  lost_at: z.coerce.date().nullable(),
  state: keptValueSchema.nullable(),
  previous: z
    .object({ run_id: z.string(), generation: z.int(), status: z.string(), host_identity: z.string().nullable() })
    .nullable(),
})
type Past = z.infer<typeof pastSchema>
const NO_PAST: Past = { session_key: null, named_at: null, lost_at: null, state: null, previous: null }

const heldSchema = z.object({
  run_id: z.string(),
  task_id: z.string(),
  task_type: z.string(),
  workspace_id: z.string(),
  agent_id: z.string(),
  agent_key: z.string(),
  agent_version: z.int(),
  session_id: z.string().nullable(),
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
  started_at: z.date(),
  message: z.string(),
  extra_system_prompt: z.string().nullable(),
  /** As text: the policies of most runs are alike, and are read once. */
  policy: z.string(),
  timeout_ms: z.int(),
  label: z.string().nullable(),
  metadata: keptObjectSchema,
  usage: usageSchema.nullable(),
  /** The trace context in which its command was accepted. */
  traceparent: z.string().nullable(),
  /** What came with its command. */
  attachments: z
    .array(attachmentInfoSchema)
    .nullable()
    .transform((list) => list ?? []),
  ready_at: z.date(),
  past: pastSchema.nullable(),
})

/** A run as its claimer holds it: all that an execution needs. */
export type ClaimedRun = Readonly<Omit<z.infer<typeof heldSchema>, 'past' | 'ready_at' | 'policy'>> & {
  readonly policy: Policy
  readonly config: AgentConfig
  readonly session_key: string | null
  /** Since when the run could have started. */
  readonly ready_at: Date
  /** When the worker that lost the run was last heard of; null unless an attempt was lost. */
  readonly lost_at: Date | null
  /** What its agent saved last. */
  readonly state: Past['state']
  /** The last earlier attempt in this run's folder, if any: what it left may have to be killed first. */
  readonly previous: Past['previous']
}

const STATEMENT = {
  name: 'claim_runs',
  text: 'SELECT * FROM claim_runs($1, $2, $3)',
  row: z.looseObject({
    run_id: z.string(),
    admission: z.int(),
    verdict: z.enum(['claimed', 'mine', 'taken', 'refused', 'node_dead']),
  }),
}
type Row = z.infer<typeof STATEMENT.row>

const POLICIES = new ParsedTexts(policySchema)

/** What is known even of a run that cannot be read. */
const keySchema = z.object({
  agent_id: z.string(),
  agent_version: z.int(),
  generation: z.int(),
  session_id: z.string().nullable(),
})

export type Claim = { readonly runId: string; readonly admission: number }
export type ClaimVerdict =
  | { readonly verdict: 'claimed' | 'mine'; readonly run: ClaimedRun }
  /** Claimed, but what is stored of the run cannot be read: it can only be ended. */
  | {
      readonly verdict: 'unreadable'
      readonly generation: number
      readonly sessionId: string | null
      readonly problem: string
    }
  | { readonly verdict: 'taken' | 'refused' | 'node_dead' }

/** Claims runs for a node, one verdict an item, in order: `queued -> running`, the generation raised, the attempt opened. */
export async function claimRuns(
  on: Queryable,
  nodeId: string,
  claims: readonly Claim[],
  versions: AgentVersions = new AgentVersions(on),
): Promise<readonly ClaimVerdict[]> {
  // by id, as every statement locks runs
  const inOrder = claims.toSorted((one, other) => (one.runId < other.runId ? -1 : 1))
  const rows = await execute(on, STATEMENT, [
    nodeId,
    inOrder.map((claim) => claim.runId),
    inOrder.map((claim) => claim.admission),
  ])
  await versions.read(rows.filter(isHeld).map((row) => keySchema.parse(row)))
  const answers = new Map(rows.map((row) => [placeOf(row.run_id, row.admission), row]))
  return claims.map((claim) => {
    const row = answers.get(placeOf(claim.runId, claim.admission))
    if (row === undefined) throw new Error(`claim of ${claim.runId} was not answered`)
    return verdictOf(row, versions)
  })
}

const placeOf = (runId: string, admission: number): string => `${runId}/${admission}`
const isHeld = (row: Row): boolean => row.verdict === 'claimed' || row.verdict === 'mine'

function verdictOf(row: Row, versions: AgentVersions): ClaimVerdict {
  if (row.verdict !== 'claimed' && row.verdict !== 'mine') return { verdict: row.verdict }
  const key = keySchema.parse(row)
  const [run, config] = [heldSchema.safeParse(row), versions.of(key)]
  const policy = POLICIES.of(run.data?.policy ?? 'null')
  const error = run.error ?? config.error ?? policy.error
  if (!run.success || !config.success || !policy.success)
    return {
      verdict: 'unreadable',
      generation: key.generation,
      sessionId: key.session_id,
      problem: error === undefined ? '' : z.prettifyError(error),
    }
  const { past, ready_at, ...facts } = run.data
  const { named_at, ...before } = past ?? NO_PAST
  const readyAt = named_at !== null && named_at > ready_at ? named_at : ready_at
  return {
    verdict: row.verdict,
    run: { ...facts, ...before, ready_at: readyAt, policy: policy.data, config: config.data },
  }
}
