import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import { applyConfiguration } from '@muster/engine'
import { findWorkspace, patchWorkspace as patch } from '@muster/store'
import type { Handler } from '../handler.ts'

export const patchWorkspace: Handler<typeof ROUTES.patchWorkspace> = async (context, { params, body }) => {
  const { database, engine, queues } = context
  const found = await findWorkspace(database, params.workspace)
  const written = found === null ? null : await patch(database, found.id, body)
  if (written === null) throw new AppError('workspace_not_found')
  const { id, limits } = written.resource
  queues.learn({ scope: { kind: 'workspace', workspaceId: id }, max: limits.max_waiting })
  const applied = await applyConfiguration(engine, written.configuration)
  return { status: 200, body: { workspace: written.resource, applied, agent_contract: contractForList() } }
}
