import { AppError } from '@muster/core'
import { applyConfiguration, cancelRun, type EngineContext, requeueTask } from '@muster/engine'
import { type BoardRun, patchAgent } from '@muster/store'
import { boardState } from './lane-job.ts'
import type { LaneActions } from './lane-queue.ts'

/** Of many that are requeued together one may be somewhere else by now, and its agent gone. */
const PASSED_OVER: ReadonlySet<string> = new Set(['invalid_transition', 'task_not_found', 'agent_not_found'])

/** What an operator does on the board, through the same use cases as the API; each is in the log. */
export function laneActions(context: EngineContext): LaneActions {
  const requeue = async (run: BoardRun): Promise<void> => {
    if (!run.current) throw new AppError('invalid_transition', `run ${run.id} was requeued already`)
    await requeueTask(context, run.task_id)
    context.log.info({ run_id: run.id, task_id: run.task_id }, 'board: requeue')
  }
  return {
    requeue,
    requeueUnlessMoved: (run) =>
      requeue(run).catch((error: unknown) => {
        const moved = error instanceof AppError && PASSED_OVER.has(error.code)
        if (boardState(run) !== 'failed' || !moved) throw error
      }),
    async cancel(run) {
      const state = boardState(run)
      if (state === 'completed' || state === 'failed')
        throw new AppError('invalid_transition', `run ${run.id} is over; it goes when its time of retention is over`)
      const outcome = await cancelRun(context, run.id, { code: 'cancelled', reason: 'cancelled on the board' })
      context.log.info({ run_id: run.id, outcome }, 'board: cancel')
    },
    async pause(lane, wanted) {
      const limits = { lanes: { [lane.lane]: { paused: wanted === 'paused' } } }
      const written =
        lane.agentId === null ? null : await patchAgent(context.database, lane.workspaceId, lane.agentId, { limits })
      if (written === null) throw new AppError('agent_not_found', `the agent of ${lane.name} was deleted`)
      const applied = await applyConfiguration(context, written.configuration)
      context.log.info({ lane: lane.name, wanted, applied }, 'board: pause')
    },
  }
}
