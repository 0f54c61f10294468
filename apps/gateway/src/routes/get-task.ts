import type { ROUTES } from '@muster/contracts'
import { AppError, contractForTask } from '@muster/core'
import { findTask } from '@muster/store'
import type { Handler } from '../handler.ts'

export const getTask: Handler<typeof ROUTES.getTask> = async ({ database }, { workspace, params }) => {
  const task = await findTask(database, workspace.id, params.task_id)
  if (task === null) throw new AppError('task_not_found')
  return { status: 200, body: { task, agent_contract: contractForTask(task) } }
}
