import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import { findWorkspace, listApiKeys as list } from '@muster/store'
import { pageFields, pageRequest } from '../cursor.ts'
import type { Handler } from '../handler.ts'

export const listApiKeys: Handler<typeof ROUTES.listApiKeys> = async ({ database }, { params, query }) => {
  const workspace = await findWorkspace(database, params.workspace)
  if (workspace === null) throw new AppError('workspace_not_found')
  const page = await list(database.pool, workspace.id, pageRequest(query, 'apiKey'))
  return { status: 200, body: { ...pageFields(page), agent_contract: contractForList() } }
}
