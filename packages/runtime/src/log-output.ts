import { fstatSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { DestinationStream } from 'pino'

/** What may stay unwritten, in characters or bytes, before lines are dropped. */
const UNWRITTEN_MAX = 4 * 1024 * 1024

type Sink = {
  /** Whether too much is unwritten already. */
  isFull(): boolean
  write(text: string): void
}

/**
 * Standard output as the place of the log: it ends no process and stalls none. Through a pipe, lines are written in the background; a
 * reader that goes away ends the log. What a stalled reader or a full disk does not take waits within a bound; past it lines are dropped
 * and their number is logged.
 */
export function logOutput(): DestinationStream {
  const kind = fstatSync(1)
  const sink = kind.isFIFO() || kind.isSocket() ? pipeSink() : fileSink()
  let dropped = 0
  return {
    write: (line) => {
      if (sink.isFull()) {
        dropped++
        return
      }
      const note =
        dropped === 0
          ? ''
          : `${JSON.stringify({ level: 'warn', time: new Date(), msg: 'log lines were dropped', dropped })}\n`
      dropped = 0
      sink.write(note + line)
    },
  }
}

function pipeSink(): Sink {
  const pipe = new Socket({ fd: 1, readable: false, writable: true })
  pipe.on('error', () => undefined)
  pipe.unref()
  return {
    isFull: () => pipe.writableLength > UNWRITTEN_MAX,
    write: (text) => {
      if (!pipe.destroyed) pipe.write(text)
    },
  }
}

/** Of a file or a terminal, written at once, so that the last words of a process are kept. */
function fileSink(): Sink {
  const waiting: Buffer[] = []
  let bytes = 0
  const flush = (): void => {
    try {
      for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
        const written = writeSync(1, first)
        bytes -= written
        if (written === first.length) waiting.shift()
        else waiting[0] = first.subarray(written)
      }
    } catch {
      // The disk is full or the terminal was closed: tried again with the next line.
    }
  }
  return {
    isFull: () => {
      if (bytes > UNWRITTEN_MAX) flush()
      return bytes > UNWRITTEN_MAX
    },
    write: (text) => {
      const chunk = Buffer.from(text)
      waiting.push(chunk)
      bytes += chunk.length
      flush()
    },
  }
}
