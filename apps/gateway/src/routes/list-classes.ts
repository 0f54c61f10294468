import type { ROUTES } from '@muster/contracts'
import { contractForList } from '@muster/core'
import { listClasses as list } from '@muster/store'
import { withClassNumbers } from '../class-numbers.ts'
import { pageFields, pageRequest } from '../cursor.ts'
import type { Handler } from '../handler.ts'
import { listFilterOf } from '../list-filter-of.ts'

export const listClasses: Handler<typeof ROUTES.listClasses> = async ({ database, engine }, { workspace, query }) => {
  const page = await list(database, workspace.id, listFilterOf(query), pageRequest(query, 'class'))
  const items = await withClassNumbers(engine, page.items)
  return { status: 200, body: { ...pageFields({ ...page, items }), agent_contract: contractForList() } }
}
