import type { ROUTES } from '@muster/contracts'
import { AppError, contractForList } from '@muster/core'
import { createApiKey as create, findWorkspace } from '@muster/store'
import { hashApiKey, newApiKeySecret } from '../api-key-secret.ts'
import type { Handler } from '../handler.ts'

export const createApiKey: Handler<typeof ROUTES.createApiKey> = async ({ database }, { params, body }) => {
  const workspace = await findWorkspace(database, params.workspace)
  if (workspace === null) throw new AppError('workspace_not_found')
  const secret = newApiKeySecret()
  const key = await create(database, {
    workspaceId: workspace.id,
    name: body.name ?? null,
    hash: Buffer.from(hashApiKey(secret), 'hex'),
  })
  return { status: 201, body: { api_key: key, secret, agent_contract: contractForList() } }
}
