import { eventSchema, type RunEvent, runIdSchema } from '@muster/contracts'
import type { Breaker } from './breaker.ts'
import type { Channels } from './channels.ts'
import { withDeadline } from './deadline.ts'
import type { LiveEvents } from './gate.ts'
import { GateUnavailable } from './gate-unavailable.ts'
import type { RedisConnection } from './redis-connection.ts'
import { gateError } from './script-caller.ts'

const EVENTS_KEPT = 1000
const EXPIRE_S = 600
const ALREADY_THERE = /equal or smaller/

/** The live copies of runs' events: one stream and one wake-up channel each. */
export const createLiveEvents = (
  connection: RedisConnection,
  channels: Channels,
  guard: Breaker['guard'],
  fleetKey: string,
  timeoutMs: number,
): LiveEvents => {
  const streamOf = (runId: string) => `${fleetKey}:live:${runIdSchema.parse(runId)}`
  const channelOf = (runId: string) => `${fleetKey}:wake:${runIdSchema.parse(runId)}`
  const { redis } = connection
  const ask = <T>(what: string, call: () => Promise<T>): Promise<T> =>
    guard(what, async () => {
      try {
        connection.runId()
        return await withDeadline(call(), timeoutMs, what)
      } catch (error) {
        throw gateError(error, what)
      }
    })

  return {
    publish: async (runId, events) => {
      const stream = streamOf(runId)
      if (events.length === 0) return
      await ask('publish', async () => {
        const pipeline = redis.pipeline()
        for (const event of events) {
          pipeline.xadd(stream, 'MAXLEN', '~', EVENTS_KEPT, `${event.seq}-0`, 'e', JSON.stringify(event))
        }
        pipeline.expire(stream, EXPIRE_S)
        pipeline.publish(channelOf(runId), '')
        const replies = await pipeline.exec()
        if (replies === null) throw new GateUnavailable('publish: no answer')
        for (const [error] of replies) {
          if (error !== null && !ALREADY_THERE.test(error.message)) throw error
        }
      })
    },

    read: async (runId, afterSeq, limit) => {
      const entries = await ask('read', () => redis.xrange(streamOf(runId), `${afterSeq}-0`, '+', 'COUNT', limit + 1))
      return contiguous(entries, afterSeq)?.slice(0, limit) ?? null
    },

    subscribe: (runId, onWake) => channels.subscribe(channelOf(runId), onWake),
  }
}

/** The events right after `afterSeq` up to the first hole; null when the stream lacks what comes before or right after it. */
const contiguous = (entries: readonly [string, string[]][], afterSeq: number): RunEvent[] | null => {
  const first = Number(entries[0]?.[0].split('-')[0])
  if (first !== afterSeq && first !== afterSeq + 1) return null
  const events: RunEvent[] = []
  for (const [, fields] of first === afterSeq ? entries.slice(1) : entries) {
    const event = readEvent(fields[1])
    if (event === null || event.seq !== afterSeq + events.length + 1) break
    events.push(event)
  }
  return events.length === 0 && first !== afterSeq ? null : events
}

const readEvent = (text: string | undefined): RunEvent | null => {
  try {
    return eventSchema.parse(JSON.parse(text ?? ''))
  } catch {
    return null
  }
}
