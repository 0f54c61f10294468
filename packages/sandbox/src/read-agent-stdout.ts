import type { FromAgent, JsonValue, UsageReport } from '@muster/contracts'
import type { AgentBounds } from './agent-bounds.ts'
import { type AgentEvent, eventOf, logEvent } from './agent-event.ts'
import type { AgentMessage } from './agent-execution.ts'
import { createCollectedOutput } from './collected-output.ts'
import { createEventBudget, lateReason } from './event-budget.ts'
import { createLineSplitter, type Line } from './line-splitter.ts'
import { lineText } from './line-text.ts'
import {
  type LastWord,
  lastWordAtEnd,
  lastWordAtStart,
  mayBeMessage,
  parseAgentLine,
  type RefusedLine,
} from './parse-agent-line.ts'
import { createReadingTurns, type ReadCost, timed } from './reading-turns.ts'

export type StdoutReading = {
  readonly bounds: AgentBounds
  readonly offer: (events: readonly AgentEvent[], cost: ReadCost) => Promise<void>
  readonly onUsage: (report: UsageReport) => void
  readonly onResult: (output: JsonValue) => void
  readonly onError: (message: AgentMessage<'error'>) => void
  readonly onAsk: (message: AgentMessage<'ask'>) => void
  /** It did not fit into one line of the protocol. */
  readonly onTooLong: (word: LastWord) => void
  /** It is no message of the protocol. */
  readonly onRefused: (line: RefusedLine) => void
}

export type StdoutReader = {
  accept(chunk: Uint8Array): Promise<void>
  finish(): Promise<void>
  /** Keeps nothing that is read from now on, but for what decides the outcome. */
  giveUp(): void
  collected(): { readonly output: string; readonly outputTruncated: boolean }
}

/** What a line costs of the events that an agent may make; plain lines mostly come many at a time, as one. */
const LINE_COUNT = 0.05
/** So much of a message costs as much as a short one, since it is read by the byte. */
const MESSAGE_BYTES_A_COUNT = 512
/** What a read costs that no line comes of. */
const READ_COUNT = 1
/** Of messages read in one turn for one agent: some milliseconds, be they made of nothing but brackets. */
const PIECE_BYTES = 16 * 1024
/** From here on one message may take longer to read than all else waits gladly. */
const BIG_BYTES = 64 * 1024
/** A few milliseconds of each turn of the loop, so that many agents that talk at once leave room for all else. */
const smallTurns = createReadingTurns({ turnMs: 5, restFactor: 0 })
/** A quarter of the time at most, one message a turn. */
const bigTurns = createReadingTurns({ turnMs: 0, restFactor: 3 })

type Piece = { readonly lines: readonly Line[]; readonly messageBytes: number }

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
  /** Of the main thread, so far. */
  let usedMs = 0

  async function take(split: () => readonly Line[]): Promise<void> {
    let pieces: readonly Piece[] = []
    let ms = timed(() => {
      pieces = piecesOf(split())
    })
    for (const piece of pieces) ms += await takePiece(piece)
    ms += timed(endPlain)
    usedMs += ms
    const [ready, read] = [events, count]
    events = []
    count = 0
    await reading.offer(ready, { count: read, ms })
  }

  /** Answers how many milliseconds it took. */
  async function takePiece({ lines, messageBytes }: Piece): Promise<number> {
    const work = () => lines.forEach(takeLine)
    if (messageBytes === 0) return timed(work)
    const turns = messageBytes < BIG_BYTES ? smallTurns : bigTurns
    return turns.take(usedMs, work)
  }

  function takeLine(line: Line): void {
    if (line.isTail) {
      tooLong(lastWordAtEnd(line.text))
      return
    }
    const candidate = mayBeMessage(line)
    // What only looks like one is counted too, and each line a little: an agent pays for the work that it makes.
    count += candidate ? Math.max(1, line.bytes / MESSAGE_BYTES_A_COUNT) : LINE_COUNT
    const parsed = candidate ? parseAgentLine(line.text) : null
    if (parsed?.kind === 'message') {
      endPlain()
      takeMessage(parsed.message, line.bytes)
      return
    }
    takePlain(line)
    if (parsed?.kind === 'refused') reading.onRefused(parsed)
  }

  function takePlain(line: Line): void {
    const text = lineText(line)
    plain.push(text)
    output.add(line.ended ? `${text}\n` : text)
    if (!line.cut) return
    output.markCut()
    tooLong(lastWordAtStart(line.text))
  }

  function tooLong(word: LastWord | null): void {
    if (word !== null) reading.onTooLong(word)
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
    accept: (chunk) =>
      take(() => {
        const lines = splitter.push(chunk, budget.isSpent && output.isFull ? 'dropped' : 'kept')
        if (lines.length === 0) count += READ_COUNT
        return lines
      }),
    finish: () => take(() => splitter.end()),
    giveUp() {
      late = true
      budget.close(lateReason(bounds))
    },
    collected: () => output.read(),
  }
}

/** What is read of these in one turn each. */
function piecesOf(lines: readonly Line[]): readonly Piece[] {
  const pieces: { lines: Line[]; messageBytes: number }[] = []
  for (const line of lines) {
    const bytes = mayBeMessage(line) ? line.bytes : 0
    const last = pieces.at(-1)
    if (last === undefined || (bytes > 0 && last.messageBytes + bytes > PIECE_BYTES))
      pieces.push({ lines: [line], messageBytes: bytes })
    else {
      last.lines.push(line)
      last.messageBytes += bytes
    }
  }
  return pieces
}
