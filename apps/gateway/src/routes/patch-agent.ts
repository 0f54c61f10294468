import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList, refuseAgentPolicy } from '@muster/core'
import { applyConfiguration } from '@muster/engine'
import { patchAgent as patch, waitingLimitOf } from '@muster/store'
import type { Handler } from '../handler.ts'

export const patchAgent: Handler<typeof ROUTES.patchAgent> = async (context, { workspace, params, body }) => {
  const { database, engine, queues } = context
  refuseAgentPolicy(body.config?.policy, engine.ceilings ?? {})
  const written = await patch(database, workspace.id, params.agent, body)
  if (written === null) throw new AppError('agent_not_found')
  queues.learn(waitingLimitOf(written.resource))
  const applied = await applyConfiguration(engine, written.configuration)
  return { status: 200, body: { agent: written.resource, applied, agent_contract: contractForList() } }
}
