import type { ROUTES } from '@muster/contracts'
import { AppError, contractForTask } from '@muster/core'
import { requeueTask as requeue } from '@muster/engine'
import { findTask } from '@muster/store'
import type { Handler } from '../handler.ts'

export const requeueTask: Handler<typeof ROUTES.requeueTask> = async ({ database, engine }, { workspace, params }) => {
  if ((await findTask(database, workspace.id, params.task_id)) === null) throw new AppError('task_not_found')
  await requeue(engine, params.task_id)
  const task = await findTask(database, workspace.id, params.task_id)
  if (task === null) throw new AppError('task_not_found')
  return {
    status: 202,
    headers: { location: `/v1/runs/${task.run_id}` },
    body: { task, agent_contract: contractForTask(task) },
  }
}
