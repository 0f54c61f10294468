import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import { applyConfiguration } from '@muster/engine'
import { createWorkspace as create } from '@muster/store'
import type { Handler } from '../handler.ts'

export const createWorkspace: Handler<typeof ROUTES.createWorkspace> = async (context, { body }) => {
  const { database, engine, queues } = context
  const { resource, configuration } = await create(database, body)
  const { id, limits } = resource
  queues.learn({ scope: { kind: 'workspace', workspaceId: id }, max: limits.max_waiting })
  const applied = configuration.length === 0 || (await applyConfiguration(engine, configuration))
  return {
    status: 201,
    headers: { location: `/v1/workspaces/${resource.id}` },
    body: { workspace: resource, applied, agent_contract: contractForList() },
  }
}
