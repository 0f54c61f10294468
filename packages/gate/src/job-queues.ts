import { POOLS, type Pool, type RunJob } from '@muster/contracts'
import { Queue } from 'bullmq'
import type { Admitted } from './gate-reply.ts'
import type { RedisConnection } from './redis-connection.ts'

/** The id of the job that carries an admission to a worker. */
const jobId = (runId: string, admission: number): string => `${runId}-${admission}`

export type JobQueues = {
  readonly add: (admitted: readonly Admitted[]) => Promise<void>
  readonly all: () => readonly Queue[]
  readonly close: () => Promise<void>
}

/** One BullMQ queue for each pool, over a connection that fails rather than waits. */
export const openJobQueues = (
  connection: RedisConnection,
  prefix: string,
  onError: (error: Error) => void,
): JobQueues => {
  const queues = new Map<Pool, Queue>()
  const queueOf = (pool: Pool): Queue => {
    const known = queues.get(pool)
    if (known !== undefined) return known
    // Without the version check a connection lost during start-up does not spoil the queue for good.
    const queue = new Queue(pool, { connection: connection.redis, prefix, skipVersionCheck: true })
    queue.on('error', onError)
    queues.set(pool, queue)
    return queue
  }
  const jobOf = ({ runId, admission, jobName }: Admitted) => {
    const data: RunJob = { run_id: runId, admission }
    const opts = { jobId: jobId(runId, admission), attempts: 1, removeOnComplete: true, removeOnFail: true }
    return { name: jobName, data, opts }
  }
  /** A job alone needs no transaction: about half the work for it here and less in Redis. */
  const addTo = async (queue: Queue, jobs: readonly ReturnType<typeof jobOf>[]): Promise<void> => {
    const [only, ...others] = jobs
    if (only !== undefined && others.length === 0) await queue.add(only.name, only.data, only.opts)
    else await queue.addBulk([...jobs])
  }
  return {
    add: async (admitted) => {
      connection.runId()
      const byPool = Map.groupBy(admitted, (one) => one.pool)
      await Promise.all([...byPool].map(([pool, some]) => addTo(queueOf(pool), some.map(jobOf))))
    },
    all: () => POOLS.map(queueOf),
    close: async () => {
      await Promise.all([...queues.values()].map((queue) => queue.close()))
    },
  }
}
