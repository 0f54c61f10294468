import { StringDecoder } from 'node:string_decoder'
import type { EventType, FromAgent, JsonObject, JsonValue } from '@muster/contracts'

export type AgentEvent = {
  readonly type: Extract<EventType, `agent.${string}`>
  readonly data: JsonObject
  /** Of a snapshot, which is saved with it under a number of its own. */
  readonly state?: JsonValue
}

export type LogStream = 'stdout' | 'stderr' | 'agent'

export const logEvent = (stream: LogStream, text: string): AgentEvent => ({ type: 'agent.log', data: { stream, text } })

/** The event that a message makes, or null for messages that the driver answers or that end the run. */
export function eventOf(message: FromAgent): AgentEvent | null {
  switch (message.type) {
    case 'message':
      return { type: 'agent.message', data: { text: message.text } }
    case 'delta':
      return { type: 'agent.delta', data: { text: message.text } }
    case 'log':
      return logEvent('agent', message.text)
    case 'progress':
    case 'usage':
    case 'tool_call':
    case 'tool_result':
    case 'ask':
      return { type: `agent.${message.type}`, data: fieldsOf(message) }
    case 'snapshot':
    case 'input_consumed':
    case 'result':
    case 'error':
      return null
  }
}

function fieldsOf(message: FromAgent): JsonObject {
  const fields: [string, JsonValue][] = []
  for (const [name, value] of Object.entries(message))
    if (name !== 'type' && value !== undefined) fields.push([name, value])
  return Object.fromEntries(fields)
}

/** Cuts the fields of an event that is larger than `bytes`, each visibly; a value that is no text is cut as JSON text. */
export function boundEvent(event: AgentEvent, bytes: number): AgentEvent {
  if (Buffer.byteLength(JSON.stringify(event.data)) <= bytes) return event
  const entries = Object.entries(event.data)
  const share = Math.floor(bytes / entries.length)
  return {
    type: event.type,
    data: Object.fromEntries(entries.map(([name, value]) => [name, boundField(value, share)])),
  }
}

function boundField(value: JsonValue, bytes: number): JsonValue {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  const json = JSON.stringify(value)
  if (Buffer.byteLength(json) <= bytes) return value
  return cutText(typeof value === 'string' ? value : json, bytes)
}

/** A text of at most about `bytes` once it is JSON, ending in words that say it was cut. */
export function cutText(text: string, bytes: number): string {
  const whole = Buffer.from(text)
  let kept = Math.min(whole.length, bytes)
  for (;;) {
    const piece = new StringDecoder('utf8').write(whole.subarray(0, kept))
    const size = Buffer.byteLength(JSON.stringify(piece))
    if (size <= bytes || kept === 0) return kept === whole.length ? text : `${piece} … [cut: ${whole.length} bytes]`
    kept = Math.min(kept - 1, Math.floor((kept * bytes) / size))
  }
}
