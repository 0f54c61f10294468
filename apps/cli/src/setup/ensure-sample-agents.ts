import type { CreateAgent } from '@muster/contracts'
import { type AdminClient, unexpected } from './admin-client.ts'

/** Creates the agents that are missing in the workspace `default`; those that are there stay as their owner left them. */
export async function ensureSampleAgents(request: AdminClient, agents: readonly CreateAgent[]): Promise<void> {
  for (const agent of agents) {
    const created = await request('POST', '/v1/agents', agent)
    if (created.status !== 201 && created.status !== 409)
      throw unexpected(`cannot create the agent ${agent.key}`, created)
  }
}
