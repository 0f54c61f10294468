import { type Pool, type RunJob, runJobSchema } from '@muster/contracts'
import { Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { ConsumeOptions, JobConsumer } from './gate.ts'
import { BLOCKED_S_MAX, patient } from './redis-connection.ts'

/** BullMQ does not judge who is alive: a stalled job is delivered again however often, and the gate refuses what is out of date. */
const STALLED_MAX = 1_000_000_000
const RUN_RETRY_MS = 500
const CLOSE_MS_MAX = 1000
/** A run that a job went on to is shown as the job's own once it lasts this long. */
const SHOWN_AFTER_MS = 1000

/** Takes the jobs of one pool. A job whose data is not a run job is reported and dropped. */
export const consumeJobs = (
  url: string,
  prefix: string,
  pool: Pool,
  options: ConsumeOptions,
  onError: (error: Error) => void,
): JobConsumer => {
  const redis = new Redis(url, patient)
  redis.on('error', onError)
  const inHand = new Set<Promise<void>>()
  const worker = new Worker(
    pool,
    async (job) => {
      const parsed = runJobSchema.safeParse(job.data)
      if (!parsed.success) {
        onError(new Error(`dropped a job that is not a run: ${job.id}`, { cause: parsed.error }))
        return
      }
      let shown: NodeJS.Timeout | undefined
      const carries = (next: RunJob): void => {
        clearTimeout(shown)
        shown = setTimeout(() => void job.updateData(next).catch(onError), SHOWN_AFTER_MS)
      }
      const work = options.process(parsed.data, carries)
      inHand.add(work)
      try {
        await work
      } finally {
        clearTimeout(shown)
        inHand.delete(work)
      }
    },
    {
      connection: redis,
      prefix,
      concurrency: options.concurrency,
      maxStalledCount: STALLED_MAX,
      drainDelay: BLOCKED_S_MAX,
      runRetryDelay: RUN_RETRY_MS,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    },
  )
  worker.on('error', onError)
  const within = async (timeoutMs: number, work: Promise<unknown>): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, timeoutMs)
    await Promise.race([work.catch(onError), promise])
    clearTimeout(timer)
  }
  return {
    pause: () => worker.pause(true),
    resume: () => {
      void worker.resume()
    },
    close: async (drainMs) => {
      await worker.pause(true)
      if (inHand.size > 0) await within(drainMs, Promise.allSettled(inHand))
      await within(CLOSE_MS_MAX, worker.close(inHand.size > 0))
      redis.disconnect()
    },
  }
}
