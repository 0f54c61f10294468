import type { AgentBounds } from './agent-bounds.ts'
import { type AgentEvent, logEvent } from './agent-event.ts'
import { createEventBudget, lateReason } from './event-budget.ts'
import { createLineSplitter, type Line } from './line-splitter.ts'
import { lineText } from './line-text.ts'
import { type ReadCost, timed } from './reading-turns.ts'

export type StderrReader = {
  accept(chunk: Uint8Array): Promise<void>
  finish(): Promise<void>
  /** Keeps nothing that is read from now on. */
  giveUp(): void
  /** The last of it, for the message of a failure. */
  tail(): string
}

export type StderrReading = {
  readonly bounds: AgentBounds
  readonly offer: (events: readonly AgentEvent[], cost: ReadCost) => Promise<void>
}

const TAIL_CHARACTERS = 2_000
/** What a read costs of the events that an agent may make, whatever comes of it. */
const READ_COUNT = 1

/** Every line of stderr is a log line; those of one chunk make one event. */
export function readAgentStderr({ bounds, offer }: StderrReading): StderrReader {
  const splitter = createLineSplitter({ lineBytes: bounds.lineBytes })
  const budget = createEventBudget('stderr', bounds)
  let tail = ''

  async function take(chunk: () => readonly Line[]): Promise<void> {
    let kept: readonly AgentEvent[] = []
    const ms = timed(() => {
      kept = keep(chunk())
    })
    await offer(kept, { count: READ_COUNT, ms })
  }

  function keep(lines: readonly Line[]): readonly AgentEvent[] {
    if (lines.length === 0) return []
    const text = lines.map((line) => lineText(line)).join('\n')
    tail = `${tail}\n${text}`.slice(-TAIL_CHARACTERS)
    return budget.spend(logEvent('stderr', text), Buffer.byteLength(text))
  }

  return {
    accept: (chunk) => take(() => splitter.push(chunk)),
    finish: () => take(() => splitter.end()),
    giveUp: () => budget.close(lateReason(bounds)),
    tail: () => tail.trim().toWellFormed(),
  }
}
