import { eventSchema, type RunEvent, runIdSchema } from '@muster/contracts'
import { z } from 'zod'
import { createAudience } from './audience.ts'
import type { Breaker } from './breaker.ts'
import type { Channels } from './channels.ts'
import { withDeadline } from './deadline.ts'
import type { LiveEvents } from './gate.ts'
import { loadScript } from './load-script.ts'
import type { RedisConnection } from './redis-connection.ts'
import { gateError, runScript } from './script-caller.ts'

const PUBLISH = loadScript('publish')
/** Characters in one call: it holds up Redis no longer than a usual script does. */
const CALL_CHARACTERS = 262_144

const eventsSchema = z.array(eventSchema)

export type LiveTimes = {
  /** How long a call may take. */
  readonly callMs: number
  /** How long one word of a process with readers is good for. */
  readonly audienceMs: number
}

/** One channel for each run; a message is a list of events. Where nobody in the fleet reads, nothing is sent. */
export const createLiveEvents = (
  connection: RedisConnection,
  channels: Channels,
  guard: Breaker['guard'],
  fleetKey: string,
  { callMs, audienceMs }: LiveTimes,
): LiveEvents => {
  const channelOf = (runId: string) => `${fleetKey}:live:${runIdSchema.parse(runId)}`
  const send = (messages: readonly string[]) =>
    guard('publish', async () => {
      try {
        connection.runId()
        await withDeadline(runScript(connection.redis, PUBLISH, [fleetKey], messages), callMs, 'publish')
      } catch (error) {
        throw gateError(error, 'publish')
      }
    })

  const audienceChannel = `${fleetKey}:audience`
  const audience = createAudience(channels, audienceChannel, () => send([audienceChannel, 'here']), audienceMs)

  return {
    publish: async (events) => {
      if (!audience.isThere()) return
      let messages: string[] = []
      let characters = 0
      for (const [runId, own] of Map.groupBy(events, (event) => event.run_id)) {
        const message = JSON.stringify(own)
        messages.push(channelOf(runId), message)
        characters += message.length
        if (characters < CALL_CHARACTERS) continue
        await send(messages)
        messages = []
        characters = 0
      }
      if (messages.length > 0) await send(messages)
    },

    subscribe: (runId, onEvents) => {
      const channel = channelOf(runId)
      const leave = audience.join()
      const stop = channels.subscribe(channel, (message) => onEvents(readEvents(message)))
      return () => {
        leave()
        stop()
      }
    },
  }
}

/** What cannot be read counts as missed. */
const readEvents = (message: string): readonly RunEvent[] => {
  if (message === '') return []
  try {
    return eventsSchema.parse(JSON.parse(message))
  } catch {
    return []
  }
}
