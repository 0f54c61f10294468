import type { ROUTES } from '@muster/contracts'
import { AppError, contractForTask } from '@muster/core'
import { archiveTask as archive, findTask } from '@muster/store'
import type { Handler } from '../handler.ts'

export const archiveTask: Handler<typeof ROUTES.archiveTask> = async ({ database }, { workspace, params }) => {
  if ((await findTask(database, workspace.id, params.task_id)) === null) throw new AppError('task_not_found')
  await archive(database.pool, params.task_id)
  const task = await findTask(database, workspace.id, params.task_id)
  if (task === null) throw new AppError('task_not_found')
  return { status: 200, body: { task, agent_contract: contractForTask(task) } }
}
