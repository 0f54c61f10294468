import type { ROUTES } from '@muster/contracts'
import { AppError, contractForTask } from '@muster/core'
import { cancelRun } from '@muster/engine'
import { findTask } from '@muster/store'
import type { Handler } from '../handler.ts'

/** A task that is requeued in the same moment has another run: cancelling means that one too. */
const RUNS_TRIED_MAX = 3

export const cancelTask: Handler<typeof ROUTES.cancelTask> = async (
  { database, engine },
  { workspace, params, body },
) => {
  let task = await findTask(database, workspace.id, params.task_id)
  let status: 200 | 202 = 200
  for (let tried = 0; task !== null && tried < RUNS_TRIED_MAX; tried++) {
    const runId: string = task.run_id
    const outcome = await cancelRun(engine, runId, {
      code: 'cancelled',
      reason: body.reason ?? 'cancelled by the client',
    })
    status = outcome === 'ended' ? 200 : 202
    task = await findTask(database, workspace.id, params.task_id)
    if (status === 202 || task?.run_id === runId) break
  }
  if (task === null) throw new AppError('task_not_found')
  return { status, body: { task, agent_contract: contractForTask(task) } }
}
