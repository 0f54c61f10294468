import { type AgentEvent, boundEvent, type LogStream, logEvent } from './agent-event.ts'

export type EventBudget = {
  /** The events to keep for this one: itself within bounds, a marker when the budget ends with it, nothing after that. */
  spend(event: AgentEvent, bytes: number): readonly AgentEvent[]
  /** Counts what is kept in any case, and answers the marker if the budget ends with it. */
  charge(bytes: number): readonly AgentEvent[]
  /** Ends it for this reason, of which the marker tells in place of the next event. */
  close(reason: string): void
  /** Nothing is kept any more. */
  readonly isSpent: boolean
}

/** What the smallest event costs, so that a flood of empty ones ends too. */
const EVENT_BYTES_MIN = 64

/** Bounds the events of one pipe. It is cut once for each reason, and visibly. */
export function createEventBudget(stream: LogStream, bounds: { streamBytes: number; eventBytes: number }): EventBudget {
  let left = bounds.streamBytes
  let reason = `exceeds ${bounds.streamBytes} bytes`
  let cut = false

  function charge(bytes: number): readonly AgentEvent[] {
    if (cut) return []
    left -= Math.max(bytes, EVENT_BYTES_MIN)
    if (left >= 0) return []
    cut = true
    return [logEvent(stream, `[output cut: ${stream} ${reason}, nothing after this is kept]`)]
  }

  return {
    get isSpent() {
      return cut
    },
    charge,
    spend(event, bytes) {
      if (cut) return []
      const marker = charge(bytes)
      return marker.length > 0 ? marker : [boundEvent(event, bounds.eventBytes)]
    },
    close(why) {
      reason = why
      left = 0
      // told though it was cut before: until now some things were kept in any case
      cut = false
    },
  }
}

/** Why nothing more is kept of a pipe whose program is gone. */
export const lateReason = ({ drainMs }: { drainMs: number }): string =>
  `was not read within ${drainMs} ms of the program's end`
