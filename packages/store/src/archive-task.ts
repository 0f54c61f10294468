import { taskStatusSchema } from '@muster/contracts'
import { AppError, ENDED_TASK_STATUSES } from '@muster/core'
import { z } from 'zod'
import { execute, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'archive_task',
  text: `WITH done AS (
      UPDATE tasks SET archived_at = now() WHERE id = $1 AND archived_at IS NULL AND status = ANY ($2) RETURNING id
    ) SELECT t.status, t.archived_at IS NOT NULL OR EXISTS (SELECT FROM done) AS archived FROM tasks t WHERE t.id = $1`,
  row: z.object({ status: taskStatusSchema, archived: z.boolean() }),
}

/**
 * Hides an ended task from the lists; one that is archived already is left as it is. Throws `task_not_found`, and `invalid_transition` for
 * a task that has not ended.
 */
export async function archiveTask(on: Queryable, taskId: string): Promise<void> {
  const [found] = await execute(on, STATEMENT, [taskId, ENDED_TASK_STATUSES])
  if (found === undefined) throw new AppError('task_not_found')
  if (!found.archived)
    throw new AppError(
      'invalid_transition',
      `a task that is ${found.status} cannot be archived, only one that has ended`,
    )
}
