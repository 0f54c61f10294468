import type { ROUTES } from '@muster/contracts'
import { AppError, contractForTask } from '@muster/core'
import { findTask, type LogPlace, readTaskLogs as read } from '@muster/store'
import type { Handler } from '../handler.ts'

export const readTaskLogs: Handler<typeof ROUTES.readTaskLogs> = async ({ database }, { workspace, params, query }) => {
  const task = await findTask(database, workspace.id, params.task_id)
  if (task === null) throw new AppError('task_not_found')
  const page = await read(database.pool, task.id, query.after ?? null, query.limit)
  if (page === null) {
    const faults = [{ pointer: 'query/after', detail: 'must be the next_after of a page of this task' }]
    throw new AppError('invalid_request', 'query/after: not a place in the logs of this task', { faults })
  }
  return {
    status: 200,
    body: {
      data: [...page.lines],
      next_after: page.next === null ? null : textOf(page.next),
      has_more: page.more,
      agent_contract: contractForTask(task),
    },
  }
}

const textOf = ({ runId, seq }: LogPlace): string => `${runId}.${seq}`
