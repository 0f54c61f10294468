import { StringDecoder } from 'node:string_decoder'

/** A line, or several that follow each other whole and within the bound and of which none starts like a message. */
export type Line = {
  /** Without the last newline; broken UTF-8 is U+FFFD. */
  readonly text: string
  readonly bytes: number
  /** True when the bound was reached: the rest of the line is dropped. */
  readonly cut: boolean
  /** False for a last line without newline. */
  readonly ended: boolean
  /** Told where it is no line, but the last bytes of a message that came out before, cut. */
  readonly isTail?: true
}

/** Without `messageBytes` no line is a message. */
export type LineBounds = { readonly lineBytes: number; readonly messageBytes?: number }

export type LineSplitter = {
  /** `plain`: whether lines that can be no message are wanted still, or dropped where that is cheaper. */
  push(chunk: Uint8Array, plain?: 'kept' | 'dropped'): Line[]
  /** The last line, if it had no newline. */
  end(): Line[]
}

const NEWLINE = 0x0a
const BRACE = 0x7b
const SPACE = 0x20
const TAB = 0x09
const FIRST_BYTES = 1024
/** So much of the end of a message that is cut is told, where the message may say what it is. */
const TAIL_BYTES = 256

/**
 * Splits bytes into lines and holds no more than one line's bound. A line that starts like a JSON object has the bound of
 * messages. A line that reaches its bound comes out at once, cut, and is skipped to its newline, where of a message the tail
 * comes out. Lines that can be no message come out together, since taking each apart would cost more than all else that is
 * done with them.
 */
export function createLineSplitter(bounds: LineBounds): LineSplitter {
  let held = Buffer.alloc(0)
  let length = 0
  /** Of the line that is held, blanks aside; once it is known nobody looks for it again. */
  let first: number | undefined
  let skipping = false
  /** The last bytes of a message that is skipped. */
  let tail: Buffer | null = null

  function hold(bytes: Uint8Array): void {
    if (length + bytes.length > held.length) {
      const grown = Buffer.alloc(Math.max(FIRST_BYTES, held.length * 2, length + bytes.length))
      held.copy(grown, 0, 0, length)
      held = grown
    }
    held.set(bytes, length)
    length += bytes.length
  }

  function take(ending: Pick<Line, 'cut' | 'ended'>): Line {
    const bytes = held.subarray(0, length)
    const text = ending.cut ? new StringDecoder('utf8').write(bytes) : bytes.toString('utf8')
    const line = { text, bytes: length, ...ending }
    length = 0
    first = undefined
    if (held.length > bounds.lineBytes) held = Buffer.alloc(0)
    return line
  }

  function push(chunk: Uint8Array, plain: 'kept' | 'dropped' = 'kept'): Line[] {
    const lines: Line[] = []
    let at = 0
    while (at < chunk.length) {
      const plainEnd = length === 0 && !skipping ? endOfPlain(chunk, at, bounds) : -1
      if (plainEnd !== -1) {
        const text = plain === 'kept' ? textOf(chunk.subarray(at, plainEnd)) : null
        if (text !== null) lines.push({ text, bytes: plainEnd - at, cut: false, ended: true })
        at = plainEnd + 1
        continue
      }
      const newline = chunk.indexOf(NEWLINE, at)
      const end = newline === -1 ? chunk.length : newline
      if (!skipping) {
        const piece = chunk.subarray(at, end)
        first ??= firstOf(piece)
        const bound = boundOf(first)
        const fits = length + piece.length <= bound
        const kept = fits ? piece.length : bound - length
        hold(piece.subarray(0, kept))
        if (!fits) {
          if (bounds.messageBytes !== undefined && first === BRACE) tail = endOf(held.subarray(0, length))
          lines.push(take({ cut: true, ended: true }))
          skipping = true
          passOver(piece.subarray(kept))
        } else if (newline !== -1) lines.push(take({ cut: false, ended: true }))
      } else passOver(chunk.subarray(at, end))
      if (newline !== -1) {
        skipping = false
        lines.push(...takeTail())
      }
      at = end + 1
    }
    return lines
  }

  function passOver(bytes: Uint8Array): void {
    if (tail !== null) tail = endOf(Buffer.concat([tail, bytes.subarray(-TAIL_BYTES)]))
  }

  function takeTail(): Line[] {
    if (tail === null) return []
    const text = textOf(tail)
    tail = null
    return [{ text, bytes: 0, cut: true, ended: true, isTail: true }]
  }

  function boundOf(byte: number | undefined): number {
    return (byte === BRACE ? bounds.messageBytes : undefined) ?? bounds.lineBytes
  }

  return { push, end: () => (length > 0 ? [take({ cut: false, ended: false })] : takeTail()) }
}

/** The last newline of the plain lines that begin at `at` and together fit into one line's bound, or -1 when there is no such line. */
function endOfPlain(chunk: Uint8Array, at: number, { lineBytes, messageBytes }: LineBounds): number {
  const bound = Math.min(chunk.length, at + lineBytes + 1)
  const message = messageBytes === undefined ? bound : startOfMessage(chunk, at, bound)
  const end = message > at ? chunk.lastIndexOf(NEWLINE, message - 1) : -1
  return end < at ? -1 : end
}

/** Where the first line that starts like a message begins, or `bound` when none does before it. */
function startOfMessage(chunk: Uint8Array, at: number, bound: number): number {
  for (let brace = chunk.indexOf(BRACE, at); brace !== -1 && brace < bound; ) {
    let start = brace
    while (start > at && (chunk[start - 1] === SPACE || chunk[start - 1] === TAB)) start -= 1
    if (start === at || chunk[start - 1] === NEWLINE) return start
    const newline = chunk.indexOf(NEWLINE, brace)
    brace = newline === -1 ? -1 : chunk.indexOf(BRACE, newline + 1)
  }
  return bound
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')

/** A copy, which keeps nothing else from being let go of. */
const endOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.subarray(-TAIL_BYTES))

function firstOf(bytes: Uint8Array): number | undefined {
  return bytes.find((byte) => byte !== SPACE && byte !== TAB)
}
