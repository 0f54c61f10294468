import type { Metrics } from '@muster/runtime'
import type { ClaimedRun } from '@muster/store'
import type { ExecutionEnd } from '../execute-run.ts'

/** Counts an attempt that ended here: how long it ran, how it ended, what it used. */
export function countAttempt(metrics: Metrics, run: ClaimedRun, end: ExecutionEnd, seconds: number): void {
  const tenant = { workspaceId: run.workspace_id, agentKey: run.agent_key }
  const status = end.kind === 'ended' ? end.outcome.kind : 'lost'
  metrics.observe('run_duration_seconds', { status }, seconds)
  metrics.count('runs_total', { pool: run.policy.runtime_type, status }, 1, tenant)
  if (end.kind === 'abandoned') return
  const { input_tokens, output_tokens, cost_usd } = end.used
  if (input_tokens > 0) metrics.count('tokens_total', { direction: 'input' }, input_tokens, tenant)
  if (output_tokens > 0) metrics.count('tokens_total', { direction: 'output' }, output_tokens, tenant)
  if (cost_usd > 0) metrics.count('cost_usd_total', {}, cost_usd, tenant)
}
