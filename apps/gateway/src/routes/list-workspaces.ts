import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import { listWorkspaces as list } from '@muster/store'
import { pageFields, pageRequest } from '../cursor.ts'
import type { Handler } from '../handler.ts'

export const listWorkspaces: Handler<typeof ROUTES.listWorkspaces> = async ({ database }, { query }) => {
  const page = await list(database, pageRequest(query, 'workspace'))
  return { status: 200, body: { ...pageFields(page), agent_contract: contractForList() } }
}
