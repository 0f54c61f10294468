import type { FromAgent, JsonValue, UsageReport } from '@muster/contracts'
import type { AgentBounds } from './agent-bounds.ts'
import { type AgentEvent, eventOf, logEvent } from './agent-event.ts'
import type { AgentMessage } from './agent-execution.ts'
import { createCollectedOutput } from './collected-output.ts'
import { createEventBudget, lateReason } from './event-budget.ts'
import { createLineSplitter, type Line } from './line-splitter.ts'
import { lineText } from './line-text.ts'
import { mayBeMessage, parseAgentLine } from './parse-agent-line.ts'

export type StdoutReading = {
  readonly bounds: AgentBounds
  /** `count`: how many events these cost to read, kept or not. */
  readonly offer: (events: readonly AgentEvent[], count: number) => Promise<void>
  readonly onUsage: (report: UsageReport) => void
  readonly onResult: (output: JsonValue) => void
  readonly onError: (message: AgentMessage<'error'>) => void
  readonly onAsk: (message: AgentMessage<'ask'>) => void
  /** A result did not fit into one line of the protocol; `bytes` is the bound. */
  readonly onTooLong: (bytes: number) => void
}

export type StdoutReader = {
  accept(chunk: Uint8Array): Promise<void>
  finish(): Promise<void>
  /** Keeps nothing that is read from now on, but for what decides the outcome. */
  giveUp(): void
  collected(): { readonly output: string; readonly outputTruncated: boolean }
}

const TYPE_WITHIN = 256
/** What a line costs of the events that an agent may make; plain lines mostly come many at a time, as one. */
const LINE_COUNT = 0.05
/** So much of a message costs as much as a short one, since it is read by the byte. */
const MESSAGE_BYTES_A_COUNT = 512
/** What a read costs that no line comes of. */
const READ_COUNT = 1
const RESULT_START = /^\s*\{[^{[]*?"type"\s*:\s*"result"/

/** Reads messages and plain lines; neighbouring plain lines of one chunk make one event, in their place between messages. */
export function readAgentStdout(reading: StdoutReading): StdoutReader {
  const { bounds } = reading
  const splitter = createLineSplitter(bounds)
  const budget = createEventBudget('stdout', bounds)
  const output = createCollectedOutput(bounds.outputBytes)
  let snapshotBytes = bounds.snapshotBytes
  let events: AgentEvent[] = []
  let plain: string[] = []
  let count = 0
  let late = false

  async function take(lines: readonly Line[]): Promise<void> {
    for (const line of lines) {
      const candidate = mayBeMessage(line)
      // What only looks like one is counted too, and each line a little: an agent pays for the work that it makes.
      count += candidate ? Math.max(1, line.bytes / MESSAGE_BYTES_A_COUNT) : LINE_COUNT
      const message = candidate ? parseAgentLine(line.text) : null
      if (message === null) takePlain(line)
      else {
        endPlain()
        takeMessage(message, line.bytes)
      }
    }
    endPlain()
    const [ready, read] = [events, count]
    events = []
    count = 0
    await reading.offer(ready, read)
  }

  function takePlain(line: Line): void {
    const text = lineText(line)
    plain.push(text)
    output.add(line.ended ? `${text}\n` : text)
    if (!line.cut) return
    output.markCut()
    if (RESULT_START.test(line.text.slice(0, TYPE_WITHIN))) reading.onTooLong(bounds.messageBytes)
  }

  function endPlain(): void {
    if (plain.length === 0) return
    const text = plain.join('\n')
    plain = []
    count += keep(logEvent('stdout', text), Buffer.byteLength(text))
  }

  /** Answers how many events it became. */
  function keep(event: AgentEvent, bytes: number): number {
    const kept = budget.spend(event, bytes)
    events.push(...kept)
    return kept.length
  }

  function takeMessage(message: FromAgent, bytes: number): void {
    const event = eventOf(message)
    if (event !== null) keep(event, bytes)
    if (message.type === 'usage') reading.onUsage(message)
    else if (message.type === 'result') reading.onResult(message.output)
    else if (message.type === 'error') reading.onError(message)
    else if (message.type === 'ask') reading.onAsk(message)
    else if (message.type === 'snapshot') takeSnapshot(message.state, bytes)
  }

  /** A snapshot is saved with the events around it, also where the budget for those is spent. */
  function takeSnapshot(state: JsonValue, bytes: number): void {
    if (snapshotBytes === 0) return
    if (bytes > snapshotBytes) {
      snapshotBytes = 0
      keep(
        logEvent(
          'agent',
          `[snapshot not saved, nor any later one: together they exceed ${bounds.snapshotBytes} bytes]`,
        ),
        0,
      )
      return
    }
    snapshotBytes -= bytes
    if (!late) events.push({ type: 'agent.snapshot', data: {}, state })
    events.push(...budget.charge(0))
  }

  return {
    accept(chunk) {
      const lines = splitter.push(chunk, budget.isSpent && output.isFull ? 'dropped' : 'kept')
      if (lines.length === 0) count += READ_COUNT
      return take(lines)
    },
    finish: () => take(splitter.end()),
    giveUp() {
      late = true
      budget.close(lateReason(bounds))
    },
    collected: () => output.read(),
  }
}
