import type { AgentLimits } from '@muster/contracts'
import type { NodeConfig } from './node-config.ts'

/** What the gate is to know of an agent and of each lane that it names. */
export function agentConfigurationOf(
  agent: { readonly id: string; readonly limits: AgentLimits; readonly weight: number; readonly paused: boolean },
  version: number,
): NodeConfig[] {
  const lanes = Object.entries(agent.limits.lanes).map(
    ([lane, settings]): NodeConfig => ({
      node: { kind: 'lane', agentId: agent.id, lane },
      limit: settings.concurrency ?? null,
      weight: settings.weight ?? 1,
      paused: settings.paused ?? false,
      version,
    }),
  )
  const own: NodeConfig = {
    node: { kind: 'agent', agentId: agent.id },
    limit: agent.limits.concurrency,
    weight: agent.weight,
    paused: agent.paused,
    version,
  }
  return [own, ...lanes]
}
