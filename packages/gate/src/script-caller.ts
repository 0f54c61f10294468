import type { Redis } from 'ioredis'
import type { Breaker } from './breaker.ts'
import { withDeadline } from './deadline.ts'
import { GateFault } from './gate-fault.ts'
import { GateRefused, GateUnavailable } from './gate-unavailable.ts'
import type { Script } from './load-script.ts'
import type { RedisConnection } from './redis-connection.ts'

/** Sends one script with its request and answers what Redis said. Never sends a script again that may have run. */
export type CallScript = (script: Script, request: unknown, timeoutMs: number) => Promise<unknown>

/** Replies by which Redis says that it cannot serve now, rather than that the call is wrong. */
const NOT_NOW =
  /^(OOM|READONLY|LOADING|BUSY|MASTERDOWN|MISCONF|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM|ERR max number)/

/** Sorts a client's failure: `GateUnavailable` when Redis did not serve, `GateFault` when it refused what was sent. */
export const gateError = (error: unknown, what: string): Error => {
  if (error instanceof GateUnavailable || error instanceof GateFault) return error
  const message = error instanceof Error ? error.message : String(error)
  const isReply = error instanceof Error && error.name === 'ReplyError'
  const Kind = isReply ? (NOT_NOW.test(message) ? GateRefused : GateFault) : GateUnavailable
  return new Kind(`${what}: ${message}`, { cause: error })
}

/** Runs a script by its digest, and by its text where the server does not know it yet. */
export const runScript = async (
  redis: Redis,
  script: Script,
  keys: readonly string[],
  values: readonly string[],
): Promise<unknown> => {
  try {
    return await redis.evalsha(script.sha, keys.length, ...keys, ...values)
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return await redis.eval(script.lua, keys.length, ...keys, ...values)
  }
}

export const createScriptCaller = (
  connection: RedisConnection,
  guard: Breaker['guard'],
  metaKey: string,
  now: (() => number) | undefined,
): CallScript => {
  const send = async (script: Script, request: string): Promise<unknown> => {
    const clock = now === undefined ? '' : String(now())
    return runScript(connection.redis, script, [metaKey], [connection.runId(), clock, request])
  }
  return (script, request, timeoutMs) =>
    guard(script.name, async () => {
      try {
        return await withDeadline(send(script, JSON.stringify(request)), timeoutMs, script.name)
      } catch (error) {
        throw gateError(error, script.name)
      }
    })
}
