import type { RunEvent } from '@muster/contracts'
import type { EngineLog } from '@muster/engine'
import type { OnRefused } from './key-watch.ts'

const HEARTBEAT_MS = 15_000
const STUCK_MS = 60_000
const BUFFER_BYTES = 65_536
/** What a client waits before it connects again. */
const RETRY_MS = 1000

export type EventStreamOptions = {
  /** Opens the batches; they end when the signal aborts. */
  readonly open: (signal: AbortSignal) => AsyncIterable<readonly RunEvent[]>
  readonly log: EngineLog
  readonly runId: string
  /** Tells when the client's key is refused, which ends the stream. */
  readonly onRefused: OnRefused
  /** Sent ahead of the events, without an id, so that it is nothing to resume after. */
  readonly opening?: { readonly event: string; readonly data: object }
  /** How long a client may take nothing; a minute unless told. */
  readonly stuckMs?: number
}

/**
 * Batches of events as server-sent events: `id` is the number, `event` the type. Reads no further than the client has taken; a client
 * that takes nothing for too long is dropped. A comment goes out every 15 s, so that a dead connection shows.
 */
export function eventStream(options: EventStreamOptions): ReadableStream<Uint8Array> {
  const { open, log, runId, onRefused, opening, stuckMs = STUCK_MS } = options
  const text = new TextEncoder()
  const leaving = new AbortController()
  let makeRoom: (() => void) | null = null
  let heartbeat: NodeJS.Timeout | undefined

  const pump = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    const send = (piece: string): void => {
      if (!leaving.signal.aborted) controller.enqueue(text.encode(piece))
    }
    const hasRoom = (): boolean => (controller.desiredSize ?? 0) > 0
    heartbeat = setInterval(() => {
      if (hasRoom()) send(':\n\n')
    }, HEARTBEAT_MS)
    send(`retry: ${RETRY_MS}\n\n`)
    if (opening !== undefined) send(`event: ${opening.event}\ndata: ${JSON.stringify(opening.data)}\n\n`)
    for await (const events of open(leaving.signal)) {
      for (const event of events) {
        if (!hasRoom() && !(await roomInTime())) throw new Error('the client does not read')
        if (leaving.signal.aborted) return
        send(formatEvent(event))
      }
    }
    finish(controller)
  }

  const finish = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    if (leaving.signal.aborted) return
    leaving.abort()
    controller.close()
  }

  const roomInTime = async (): Promise<boolean> => {
    if (leaving.signal.aborted) return true
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const stuck = setTimeout(() => resolve(false), stuckMs)
    makeRoom = () => resolve(true)
    leaving.signal.addEventListener('abort', makeRoom, { once: true })
    try {
      return await promise
    } finally {
      clearTimeout(stuck)
      makeRoom = null
    }
  }

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const forget = onRefused(() => finish(controller))
        pump(controller)
          .catch((error: unknown) => {
            log.warn({ err: error, run_id: runId }, 'an event stream was cut off')
            if (!leaving.signal.aborted) controller.error(error)
          })
          .finally(() => {
            forget()
            clearInterval(heartbeat)
            leaving.abort()
          })
      },
      pull() {
        makeRoom?.()
      },
      cancel() {
        leaving.abort()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: BUFFER_BYTES }),
  )
}

const formatEvent = (event: RunEvent): string =>
  `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
