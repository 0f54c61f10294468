import { randomUUID } from 'node:crypto'
import { type AttemptLimits, DEFAULT_POLICY } from '@muster/contracts'
import { type AttemptOutcome, admissionOf, endAttempt, NO_USAGE, newId } from '@muster/core'
import { createDatabase } from '@muster/testkit'
import {
  type AcceptItem,
  type AcceptVerdict,
  acceptCommands,
  type ClaimedRun,
  type ClaimVerdict,
  claimRuns,
  createAgent,
  createWorkspace,
  type Database,
  endRuns,
  finishRuns,
  type Moves,
  openDatabase,
  registerNode,
} from '../src/index.ts'

export type Road = {
  readonly url: string
  readonly database: Database
  readonly workspaceId: string
  readonly agentId: string
  /** A command, with what the test cares about. */
  item(fields?: Partial<AcceptItem>): AcceptItem
  accept(...items: Partial<AcceptItem>[]): Promise<readonly AcceptVerdict[]>
  acceptOne(fields?: Partial<AcceptItem>): Promise<AcceptVerdict>
  node(pools?: Record<string, number>): Promise<string>
  /** An admission that was never used. */
  admission(): number
  claim(nodeId: string, runId: string, admission?: number): Promise<ClaimVerdict>
  held(nodeId: string, runId: string): Promise<ClaimedRun>
  /** `limits` are those of its sandbox, if it had one. */
  end(run: ClaimedRun, outcome: AttemptOutcome, limits?: AttemptLimits): Promise<Moves>
  one<Row>(sql: string, ...values: unknown[]): Promise<Row>
  close(): Promise<void>
}

/** A migrated database with one workspace and one agent, and short ways along the road. */
export async function openRoad(): Promise<Road> {
  const fresh = await createDatabase()
  const database = openDatabase({ url: fresh.url, poolSize: 8, onError: () => undefined })
  const { resource: workspace } = await createWorkspace(database, { key: 'acme' })
  const { resource: agent } = await createAgent(database, workspace.id, {
    key: 'echo',
    config: { runner: 'process', command: ['true'] },
  })
  let counter = 0
  const admission = () => admissionOf(1, ++counter)

  const item = (fields: Partial<AcceptItem> = {}): AcceptItem => ({
    task_id: newId('task'),
    run_id: newId('run'),
    workspace_id: workspace.id,
    agent_id: agent.id,
    agent_key: 'echo',
    agent_version: 1,
    job_name: 'acme/echo/main',
    class_key: `cls_${'0'.repeat(32)}`,
    pool: 'bubblewrap',
    lane: 'main',
    session_id: null,
    session_key: null,
    new_session_id: fields.session_key === undefined ? null : newId('session'),
    type: 'command',
    label: null,
    priority: 50,
    metadata: {},
    idempotency_key: null,
    fingerprint: 'ab'.repeat(32),
    message: 'hello',
    extra_system_prompt: null,
    policy: DEFAULT_POLICY,
    timeout_ms: 60_000,
    max_attempts: 2,
    not_before: null,
    delay_ms: null,
    expires_at: null,
    ttl_ms: null,
    ...fields,
  })
  const accept = (...items: Partial<AcceptItem>[]) => acceptCommands(database.pool, items.map(item))
  const claim = async (nodeId: string, runId: string, given = admission()) => {
    const [verdict] = await claimRuns(database.pool, nodeId, [{ runId, admission: given }])
    if (verdict === undefined) throw new Error('no verdict')
    return verdict
  }
  return {
    url: fresh.url,
    database,
    workspaceId: workspace.id,
    agentId: agent.id,
    item,
    accept,
    async acceptOne(fields = {}) {
      const [verdict] = await accept(fields)
      if (verdict === undefined) throw new Error('no verdict')
      return verdict
    },
    async node(pools = { bubblewrap: 4 }) {
      const id = newId('node')
      const facts = {
        host: 'here',
        hostIdentity: randomUUID(),
        pid: 1,
        address: null,
        labels: {},
        metadata: {},
        version: '0',
      }
      await registerNode(database.pool, { id, pools, ...facts })
      return id
    },
    admission,
    claim,
    async held(nodeId, runId) {
      const verdict = await claim(nodeId, runId)
      if (verdict.verdict !== 'claimed') throw new Error(`the claim was ${verdict.verdict}`)
      return verdict.run
    },
    async end(run, outcome, limits = {}) {
      const held = {
        attemptCount: run.attempt_count,
        maxAttempts: run.max_attempts,
        losses: run.losses,
        handBacks: run.hand_backs,
        retry: run.policy.retry,
      }
      const finish = {
        runId: run.run_id,
        sessionId: run.session_id,
        generation: run.generation,
        end: endAttempt(held, outcome),
        usage: NO_USAGE,
        limits,
      }
      const ended = await endRuns(database.pool, [finish])
      return ended.moved.length > 0 ? ended : finishRuns(database.pool, [finish])
    },
    async one<Row>(sql: string, ...values: unknown[]) {
      const { rows } = await database.pool.query(sql, values)
      return rows[0] as Row
    },
    async close() {
      await database.close()
      await fresh.drop()
    },
  }
}

export const succeeded: AttemptOutcome = { kind: 'succeeded', output: 'done', outputTruncated: false, exitCode: 0 }
export const failed: AttemptOutcome = {
  kind: 'failed',
  failure: { code: 'agent_exit', message: 'no', retryable: true },
  exitCode: 1,
}
