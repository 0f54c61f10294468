import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import { type DestinationStream, pino } from 'pino'

/** What a reader of the log may leave unread before lines are dropped. */
const UNREAD_CHARS_MAX = 4 * 1024 * 1024

/**
 * Standard output as the place of the log. Through a pipe, lines are written in the background: a reader that stalls stalls nobody, past a
 * bound lines are dropped and their number is logged, and a reader that goes away ends the log, not the process.
 */
export function logOutput(): DestinationStream {
  const kind = fstatSync(1)
  if (!kind.isFIFO() && !kind.isSocket()) return pino.destination({ dest: 1, sync: true })
  const pipe = new Socket({ fd: 1, readable: false, writable: true })
  pipe.on('error', () => undefined)
  pipe.unref()
  let dropped = 0
  return {
    write: (line) => {
      if (pipe.destroyed) return
      if (pipe.writableLength > UNREAD_CHARS_MAX) {
        dropped++
        return
      }
      const note =
        dropped === 0
          ? ''
          : `${JSON.stringify({ level: 'warn', time: new Date(), msg: 'log lines were dropped', dropped })}\n`
      dropped = 0
      pipe.write(note + line)
    },
  }
}
