import { onTestFinished } from 'vitest'
import { createGate, type Gate, type GateLoad, type GateOptions } from '../src/index.ts'
import { type RedisServer, startRedis } from './redis-server.ts'

/** Starts a Redis that ends with the test. */
export const redisOfTest = async (): Promise<RedisServer> => {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  return redis
}

/** What a gate waits for its answers where nothing else is said, for tests of just that. */
export const HURRIED = { call: 250, worker: 1000 }

/** Opens a gate that closes with the test. Its calls are not hurried, unless it is said how much. */
export const connect = async (
  redis: RedisServer,
  { timeoutsMs, ...options }: Partial<GateOptions> = {},
): Promise<Gate> => {
  const gate = createGate({
    redisUrl: redis.url,
    ...options,
    timeoutsMs: { call: 10_000, worker: 10_000, ...timeoutsMs },
  })
  onTestFinished(() => gate.close())
  if (!(await gate.connected(5000))) throw new Error('no connection')
  return gate
}

/** A gate of epoch 1, and a clock that moves only when it is told to. */
export const openGate = async (load: Partial<GateLoad> = {}) => {
  const redis = await redisOfTest()
  const clock = { now: 1_700_000_000_000 }
  const gate = await connect(redis, { now: () => clock.now })
  const loaded = await gate.load({ epoch: 1, config: [], holdings: [], capacities: {}, ...load })
  if (loaded !== 'loaded') throw new Error('not loaded')
  return { redis, clock, gate }
}
