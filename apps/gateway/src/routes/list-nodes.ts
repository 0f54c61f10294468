import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import { listNodes as list } from '@muster/store'
import { pageFields, pageRequest } from '../cursor.ts'
import type { Handler } from '../handler.ts'

export const listNodes: Handler<typeof ROUTES.listNodes> = async ({ database }, { query }) => {
  const page = await list(database, query.status, pageRequest(query, 'node'))
  return { status: 200, body: { ...pageFields(page), agent_contract: contractForList() } }
}
