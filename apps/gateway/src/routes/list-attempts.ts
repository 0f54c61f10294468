import type { ROUTES } from '@muster/contracts'
import { listAttempts as list } from '@muster/store'
import { contractForRun } from '../contract-for-run.ts'
import { pageFields, pageRequest } from '../cursor.ts'
import type { Handler } from '../handler.ts'
import { runOrRefuse } from '../run-or-refuse.ts'

export const listAttempts: Handler<typeof ROUTES.listAttempts> = async ({ database }, { workspace, params, query }) => {
  const run = await runOrRefuse(database, workspace.id, params.run_id)
  const page = await list(database.pool, run.id, pageRequest(query, 'number'))
  return {
    status: 200,
    body: { ...pageFields(page), agent_contract: await contractForRun(database, workspace.id, run) },
  }
}
