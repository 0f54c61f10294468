import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import { listTasks as list } from '@muster/store'
import { pageFields, pageRequest } from '../cursor.ts'
import type { Handler } from '../handler.ts'
import { listFilterOf } from '../list-filter-of.ts'

export const listTasks: Handler<typeof ROUTES.listTasks> = async ({ database }, { workspace, query }) => {
  const show = query.include_archived ? 'all' : 'unarchived'
  const page = await list(database, workspace.id, { ...listFilterOf(query), show }, pageRequest(query, 'task'))
  return { status: 200, body: { ...pageFields(page), agent_contract: contractForList() } }
}
