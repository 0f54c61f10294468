import type { AgentContract, RunStatus } from '@muster/contracts'
import { contractForTask, isRunOver, taskStatusOf } from '@muster/core'
import { type Database, findTask } from '@muster/store'

/** What a client can do next with the task of a run; one that is over is asked for its task, which may have another run by now. */
export async function contractForRun(
  database: Database,
  workspaceId: string,
  run: { readonly id: string; readonly task_id: string; readonly status: RunStatus },
): Promise<AgentContract> {
  const task = isRunOver(run.status) ? await findTask(database, workspaceId, run.task_id) : null
  const ofRun = { id: run.task_id, status: taskStatusOf({ status: run.status, scheduled: false }), run_id: run.id }
  return contractForTask(task ?? ofRun)
}
