import { POOLS, type Pool } from '@muster/contracts'
import { Queue } from 'bullmq'
import type { RedisConnection } from './redis-connection.ts'

export type JobQueues = {
  readonly all: () => readonly Queue[]
  readonly close: () => Promise<void>
}

/** One BullMQ queue for each pool, to look at, over a connection that fails rather than waits. */
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
  return {
    all: () => POOLS.map(queueOf),
    close: async () => {
      await Promise.all([...queues.values()].map((queue) => queue.close()))
    },
  }
}
