import type { ROUTES } from '@muster/contracts'
import { contractForList, refuseAgentPolicy } from '@muster/core'
import { applyConfiguration } from '@muster/engine'
import { createAgent as create, waitingLimitOf } from '@muster/store'
import type { Handler } from '../handler.ts'

export const createAgent: Handler<typeof ROUTES.createAgent> = async (context, { workspace, body }) => {
  const { database, engine, queues } = context
  refuseAgentPolicy(body.config.policy, engine.ceilings ?? {})
  const { resource, configuration } = await create(database, workspace.id, body)
  queues.learn(waitingLimitOf(resource))
  const applied = configuration.length === 0 || (await applyConfiguration(engine, configuration))
  return {
    status: 201,
    headers: { location: `/v1/agents/${resource.id}` },
    body: { agent: resource, applied, agent_contract: contractForList() },
  }
}
