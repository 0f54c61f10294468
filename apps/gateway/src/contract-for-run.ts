import type { AgentContract, RunStatus } from '@muster/contracts'
import { contractForTask, taskStatusOf } from '@muster/core'

/** What a client can do next with the task of a run. */
export const contractForRun = (run: {
  readonly id: string
  readonly task_id: string
  readonly status: RunStatus
}): AgentContract =>
  contractForTask({ id: run.task_id, status: taskStatusOf({ status: run.status, scheduled: false }), run_id: run.id })
