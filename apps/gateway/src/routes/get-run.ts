import type { ROUTES } from '@muster/contracts'
import { contractForRun } from '../contract-for-run.ts'
import type { Handler } from '../handler.ts'
import { runOrRefuse } from '../run-or-refuse.ts'

export const getRun: Handler<typeof ROUTES.getRun> = async ({ database }, { workspace, params }) => {
  const run = await runOrRefuse(database, workspace.id, params.run_id)
  return { status: 200, body: { run, agent_contract: await contractForRun(database, workspace.id, run) } }
}
