import { taskStatusSchema } from '@muster/contracts'
import { AppError } from '@muster/core'
import { z } from 'zod'
import { type Offer, offerSchema } from './offer.ts'
import { executeOne, type Queryable } from './statement.ts'

const STATEMENT = {
  name: 'requeue_task',
  text: 'SELECT requeue_task($1, $2) AS answer',
  row: z.object({
    answer: z
      .object({
        outcome: z.enum(['requeued', 'refused', 'agent_gone']),
        status: taskStatusSchema,
        offers: z.array(offerSchema),
      })
      .nullable(),
  }),
}

/** Gives a dead letter a new run at the end of its session; refuses any other status, naming it. Throws `task_not_found` and `agent_not_found`. */
export async function requeueTask(
  on: Queryable,
  taskId: string,
  newRunId: string,
): Promise<{ outcome: 'requeued' | 'refused'; status: z.infer<typeof taskStatusSchema>; offers: readonly Offer[] }> {
  const { answer } = await executeOne(on, STATEMENT, [taskId, newRunId])
  if (answer === null) throw new AppError('task_not_found')
  const { outcome } = answer
  if (outcome === 'agent_gone')
    throw new AppError('agent_not_found', 'the agent of this task was deleted; send the command to another')
  return { ...answer, outcome }
}
