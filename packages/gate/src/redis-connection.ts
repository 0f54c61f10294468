import { Redis, type RedisOptions } from 'ioredis'
import { GateUnavailable } from './gate-unavailable.ts'

/** The slowest reconnect of any client made here. */
const RETRY_MS_MAX = 500
const CONNECT_MS_MAX = 1000
/** How long BullMQ's workers block for a job at a time. */
export const BLOCKED_S_MAX = 1
const retryStrategy = (times: number): number => Math.min(times * 50, RETRY_MS_MAX)

export type ClientOptions = Omit<RedisOptions, 'replyMapping'>

/**
 * A client for calls that must fail rather than wait: nothing is queued while there is no connection, and nothing is ever sent twice. A
 * peer that owes an answer for `silentMsMax` is dropped instead of waiting for the kernel to notice that it is gone.
 */
export const failFast = (silentMsMax: number): ClientOptions => ({
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  connectTimeout: CONNECT_MS_MAX,
  socketTimeout: silentMsMax,
  retryStrategy,
})

/**
 * A client for BullMQ's workers: its commands wait for the connection. A peer that owes an answer for longer than a blocking read lasts is
 * dropped: a path may die without a word.
 */
export const patient: ClientOptions = {
  maxRetriesPerRequest: null,
  connectTimeout: CONNECT_MS_MAX,
  socketTimeout: BLOCKED_S_MAX * 1000 + 2000,
  retryStrategy,
}

export type RedisConnection = {
  readonly redis: Redis
  /** The `run_id` of the server behind the connection as it is now; throws `GateUnavailable` when there is none. */
  readonly runId: () => string
  readonly connected: (timeoutMs: number) => Promise<boolean>
  readonly close: () => void
}

/** Opens a connection that knows which server it talks to: each new connection asks before it is used. */
export const openConnection = (
  url: string,
  options: ClientOptions,
  onError: (error: Error) => void,
): RedisConnection => {
  const redis = new Redis(url, options)
  let runId: string | null = null
  const waiting = new Set<() => void>()
  redis.on('error', onError)
  redis.on('close', () => {
    runId = null
  })
  redis.on('ready', () => {
    runId = null
    const stream = redis.stream
    redis.info('server').then(
      (info) => {
        if (redis.stream !== stream || redis.status !== 'ready') return
        runId = /^run_id:(\w+)/m.exec(info)?.[1] ?? null
        for (const wake of waiting) wake()
      },
      () => redis.disconnect(true),
    )
  })
  return {
    redis,
    runId: () => {
      if (runId === null) throw new GateUnavailable('Redis is not connected')
      return runId
    },
    connected: (timeoutMs) =>
      new Promise((resolve) => {
        const settle = (answer: boolean) => {
          clearTimeout(timer)
          waiting.delete(wake)
          resolve(answer)
        }
        const wake = () => settle(true)
        const timer = setTimeout(() => settle(runId !== null), timeoutMs)
        waiting.add(wake)
        if (runId !== null) wake()
      }),
    close: () => redis.disconnect(),
  }
}
