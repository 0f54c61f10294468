import type { ROUTES } from '@muster/contracts'
import { explainRun as explain } from '@muster/engine'
import { contractForRun } from '../contract-for-run.ts'
import type { Handler } from '../handler.ts'
import { runOrRefuse } from '../run-or-refuse.ts'

export const explainRun: Handler<typeof ROUTES.explainRun> = async ({ database, engine }, { workspace, params }) => {
  const run = await runOrRefuse(database, workspace.id, params.run_id)
  return {
    status: 200,
    body: { explain: await explain(engine, run.id), agent_contract: await contractForRun(database, workspace.id, run) },
  }
}
