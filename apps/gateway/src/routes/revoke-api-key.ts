import type { ROUTES } from '@muster/contracts'
import { AppError } from '@muster/core'
import { findWorkspace, revokeApiKey as revoke } from '@muster/store'
import type { Handler } from '../handler.ts'

export const revokeApiKey: Handler<typeof ROUTES.revokeApiKey> = async ({ database }, { params }) => {
  const workspace = await findWorkspace(database, params.workspace)
  if (workspace === null) throw new AppError('workspace_not_found')
  if ((await revoke(database, workspace.id, params.key_id)) === null) throw new AppError('api_key_not_found')
  return { status: 204, body: null }
}
