import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import { findWorkspace } from '@muster/store'
import type { Handler } from '../handler.ts'

export const getWorkspace: Handler<typeof ROUTES.getWorkspace> = async ({ database }, { params }) => {
  const workspace = await findWorkspace(database, params.workspace)
  if (workspace === null) throw new AppError('workspace_not_found')
  return { status: 200, body: { workspace, agent_contract: contractForList() } }
}
