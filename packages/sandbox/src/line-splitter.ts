import { StringDecoder } from 'node:string_decoder'

export type Line = {
  /** Without its newline; broken UTF-8 is U+FFFD. */
  readonly text: string
  readonly bytes: number
  /** True when the bound was reached: the rest of the line is dropped. */
  readonly cut: boolean
  /** False for a last line without newline. */
  readonly ended: boolean
}

export type LineBounds = { readonly lineBytes: number; readonly messageBytes: number }

export type LineSplitter = {
  push(chunk: Uint8Array): Line[]
  /** The last line, if it had no newline. */
  end(): Line[]
}

const NEWLINE = 0x0a
const BRACE = 0x7b
const SPACE = 0x20
const TAB = 0x09
const FIRST_BYTES = 1024

/**
 * Splits bytes into lines and holds no more than one line's bound. A line that starts like a JSON object has the bound of
 * messages. A line that reaches its bound comes out at once, cut, and is skipped to its newline.
 */
export function createLineSplitter(bounds: LineBounds): LineSplitter {
  let held = Buffer.alloc(0)
  let length = 0
  let skipping = false

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
    if (held.length > bounds.lineBytes) held = Buffer.alloc(0)
    return line
  }

  function push(chunk: Uint8Array): Line[] {
    const lines: Line[] = []
    let at = 0
    while (at < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, at)
      const end = newline === -1 ? chunk.length : newline
      if (!skipping) {
        const piece = chunk.subarray(at, end)
        const bound = boundOf(firstOf(held.subarray(0, length)) ?? firstOf(piece))
        const fits = length + piece.length <= bound
        hold(fits ? piece : piece.subarray(0, bound - length))
        if (!fits) {
          lines.push(take({ cut: true, ended: true }))
          skipping = true
        } else if (newline !== -1) lines.push(take({ cut: false, ended: true }))
      }
      if (newline !== -1) skipping = false
      at = end + 1
    }
    return lines
  }

  function boundOf(first: number | undefined): number {
    return first === BRACE ? bounds.messageBytes : bounds.lineBytes
  }

  return { push, end: () => (length > 0 ? [take({ cut: false, ended: false })] : []) }
}

function firstOf(bytes: Uint8Array): number | undefined {
  return bytes.find((byte) => byte !== SPACE && byte !== TAB)
}
