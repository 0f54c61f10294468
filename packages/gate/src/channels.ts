import { Redis } from 'ioredis'
import { failFast } from './redis-connection.ts'

type OnMessage = (message: string) => void

export type Channels = {
  /**
   * Calls back with each message, and with '' whenever messages may have been missed: once the subscription stands, and after every
   * reconnect. Answers the way to stop.
   */
  readonly subscribe: (channel: string, onMessage: OnMessage) => () => void
  readonly close: () => void
}

const PING_EVERY_MS = 1000
const SILENT_MS_MAX = 2000
const CHANNELS_AT_ONCE = 500

/** All subscriptions of a process over one connection, opened by the first; channels are shared. */
export const createChannels = (url: string, onError: (error: Error) => void): Channels => {
  const listeners = new Map<string, Set<OnMessage>>()
  let opened: { redis: Redis; ping: NodeJS.Timeout } | null = null
  let closed = false

  const tell = (channel: string, message: string) => {
    for (const onMessage of [...(listeners.get(channel) ?? [])]) onMessage(message)
  }
  const join = (redis: Redis, channels: readonly string[]) => {
    redis.subscribe(...channels).then(
      () => {
        for (const channel of channels) tell(channel, '')
      },
      () => {
        // Without a connection the next one joins every channel.
        if (redis.status === 'ready') redis.disconnect(true)
      },
    )
  }
  const open = (): Redis => {
    const redis = new Redis(url, { ...failFast(SILENT_MS_MAX), autoResubscribe: false })
    redis.on('error', onError)
    redis.on('message', tell)
    redis.on('ready', () => {
      const channels = [...listeners.keys()]
      for (let at = 0; at < channels.length; at += CHANNELS_AT_ONCE)
        join(redis, channels.slice(at, at + CHANNELS_AT_ONCE))
    })
    // A silent peer is noticed only while it owes an answer.
    const ping = setInterval(() => {
      if (redis.status === 'ready') redis.ping().catch(() => {})
    }, PING_EVERY_MS)
    ping.unref()
    opened = { redis, ping }
    return redis
  }

  return {
    subscribe: (channel, onMessage) => {
      const redis = opened?.redis ?? open()
      const known = listeners.get(channel)
      // A listener of its own for each call, however often the same function is given.
      const listener: OnMessage = (message) => onMessage(message)
      if (known !== undefined) {
        known.add(listener)
        queueMicrotask(() => listener(''))
      } else {
        listeners.set(channel, new Set([listener]))
        if (redis.status === 'ready') join(redis, [channel])
      }
      return () => {
        const all = listeners.get(channel)
        if (!all?.delete(listener) || all.size > 0) return
        listeners.delete(channel)
        if (!closed && redis.status === 'ready') redis.unsubscribe(channel).catch(() => {})
      }
    },
    close: () => {
      closed = true
      if (opened === null) return
      clearInterval(opened.ping)
      opened.redis.disconnect()
    },
  }
}
