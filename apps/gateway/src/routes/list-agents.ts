import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import { listAgents as list } from '@muster/store'
import { pageFields, pageRequest } from '../cursor.ts'
import type { Handler } from '../handler.ts'

export const listAgents: Handler<typeof ROUTES.listAgents> = async ({ database }, { workspace, query }) => {
  const page = await list(database, workspace.id, pageRequest(query, 'agent'))
  return { status: 200, body: { ...pageFields(page), agent_contract: contractForList() } }
}
