import type { JobState, QueueJob, QueueJobJson } from '@bull-board/api/typings/app'
import type { BoardRun, BoardState } from '@muster/store'

/** What an operator can do to a run. */
export type RunActions = {
  readonly cancel: (run: BoardRun) => Promise<void>
  readonly requeue: (run: BoardRun) => Promise<void>
}

/** In which of the board's states a run is. A cancelled one is over and needs nobody: completed. */
export function boardState({ status, scheduled }: BoardRun): BoardState {
  switch (status) {
    case 'queued':
      return scheduled ? 'delayed' : 'waiting'
    case 'running':
    case 'waiting':
      return 'active'
    case 'failed':
    case 'timed_out':
      return 'failed'
    default:
      return 'completed'
  }
}

/** A run as a job of the board: remove is cancel, retry is requeue. */
export function laneJob(run: BoardRun, actions: RunActions): QueueJob {
  return {
    opts: {},
    toJSON: () => jobJson(run),
    getState: async (): Promise<JobState> => boardState(run),
    remove: () => actions.cancel(run),
    retry: () => actions.requeue(run),
    promote: () => Promise.reject(new Error('a run that is not due is not promoted')),
  }
}

function jobJson(run: BoardRun): QueueJobJson {
  const { failure, not_before, accepted_at, priority, max_attempts } = run
  // the board adds it to the timestamp
  const delay = run.scheduled && not_before !== null ? Math.max(0, not_before.getTime() - accepted_at.getTime()) : 0
  return {
    id: run.id,
    name: run.label ?? run.agent_key,
    progress: run.progress?.percent ?? run.progress?.text ?? 0,
    attemptsMade: run.attempt_number,
    timestamp: accepted_at.getTime(),
    processedOn: run.started_at?.getTime() ?? null,
    finishedOn: run.ended_at?.getTime() ?? null,
    processedBy: run.node_id,
    failedReason: failure === null ? '' : `${failure.code}: ${failure.message}`,
    stacktrace: null,
    delay,
    data: {
      run_id: run.id,
      task_id: run.task_id,
      session_id: run.session_id,
      workspace_id: run.workspace_id,
      agent: run.agent_key,
      agent_version: run.agent_version,
      lane: run.lane,
      pool: run.pool,
      label: run.label,
      status: run.status,
      task_status: run.task_status,
      cancel_requested: run.cancel_requested_at !== null,
      message: run.message_cut ? `${run.message} …` : run.message,
    },
    returnvalue: run.output,
    opts: { attempts: max_attempts, priority, ...(delay > 0 ? { delay } : {}) },
  }
}
