import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import type { EngineContext } from '@muster/engine'

/** `<runId>-<admission>`: any other name would read a key of the queue's own as if it were a job. */
const JOB_ID = /^run_[0-9a-z]+-\d+$/

/** The BullMQ queue of a pool. Read-only: its jobs carry work to workers and are the gate's alone. */
export class PoolQueue extends BullMQAdapter {
  constructor(queue: ReturnType<EngineContext['gate']['queues']>[number]) {
    super(queue, { readOnlyMode: true, description: 'pool: jobs on their way to workers' })
  }

  override getJob(id: string): ReturnType<BullMQAdapter['getJob']> {
    return JOB_ID.test(id) ? super.getJob(id) : Promise.resolve(undefined)
  }

  override getJobLogs(id: string): Promise<string[]> {
    return JOB_ID.test(id) ? super.getJobLogs(id) : Promise.resolve([])
  }
}
