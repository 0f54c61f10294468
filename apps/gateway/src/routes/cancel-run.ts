import type { ROUTES } from '@muster/contracts'
import { cancelRun as cancel } from '@muster/engine'
import { contractForRun } from '../contract-for-run.ts'
import type { Handler } from '../handler.ts'
import { runOrRefuse } from '../run-or-refuse.ts'

export const cancelRun: Handler<typeof ROUTES.cancelRun> = async (
  { database, engine },
  { workspace, params, body },
) => {
  const found = await runOrRefuse(database, workspace.id, params.run_id)
  const outcome = await cancel(engine, found.id, {
    code: 'cancelled',
    reason: body.reason ?? 'cancelled by the client',
  })
  const run = await runOrRefuse(database, workspace.id, params.run_id)
  return {
    status: outcome === 'ended' ? 200 : 202,
    body: { run, agent_contract: await contractForRun(database, workspace.id, run) },
  }
}
