import { AppError, newId } from '@muster/core'
import { requeueTask as requeueInStore } from '@muster/store'
import { afterCommit } from './after-commit.ts'
import type { EngineContext } from './engine-context.ts'
import { offerRuns } from './offer-runs.ts'

/**
 * Gives a dead letter a new run at the end of its session. Throws `task_not_found`, `agent_not_found` where the agent was deleted, or
 * `invalid_transition` for any other status.
 */
export async function requeueTask(context: EngineContext, taskId: string): Promise<void> {
  const newRunId = newId('run')
  const requeue = () => requeueInStore(context.database.pool, taskId, newRunId)
  const answer = await requeue().catch((error: unknown) => {
    // with the same run id a second try cannot requeue twice
    if (error instanceof AppError && error.code === 'unavailable') return requeue()
    throw error
  })
  if (answer.outcome === 'refused')
    throw new AppError('invalid_transition', `a task that is ${answer.status} cannot be requeued, only a dead letter`)
  await afterCommit(context, () => offerRuns(context, answer.offers))
}
