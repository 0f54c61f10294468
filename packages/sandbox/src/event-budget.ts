import { type AgentEvent, boundEvent, type LogStream, logEvent } from './agent-event.ts'

export type EventBudget = {
  /** The events to keep for this one: itself within bounds, a marker when the budget ends with it, nothing after that. */
  spend(event: AgentEvent, bytes: number): readonly AgentEvent[]
  /** Nothing is kept any more. */
  readonly isSpent: boolean
}

/** What the smallest event costs, so that a flood of empty ones ends too. */
const EVENT_BYTES_MIN = 64

/** Bounds the events of one pipe. It is cut once and visibly. */
export function createEventBudget(stream: LogStream, bounds: { streamBytes: number; eventBytes: number }): EventBudget {
  let left = bounds.streamBytes
  let cut = false
  return {
    get isSpent() {
      return cut
    },
    spend(event, bytes) {
      if (cut) return []
      left -= Math.max(bytes, EVENT_BYTES_MIN)
      if (left >= 0) return [boundEvent(event, bounds.eventBytes)]
      cut = true
      return [
        logEvent(stream, `[output cut: ${stream} exceeds ${bounds.streamBytes} bytes, nothing after this is kept]`),
      ]
    },
  }
}
