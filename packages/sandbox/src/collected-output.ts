import { StringDecoder } from 'node:string_decoder'

export type CollectedOutput = {
  add(text: string): void
  markCut(): void
  /** Nothing is added any more. */
  readonly isFull: boolean
  read(): { readonly output: string; readonly outputTruncated: boolean }
}

/** The plain text of stdout up to a bound; what exceeds it is left out and said so at the end. */
export function createCollectedOutput(outputBytes: number): CollectedOutput {
  const parts: string[] = []
  let bytes = 0
  let full = false
  let truncated = false
  return {
    add(text) {
      if (full) return
      const size = Buffer.byteLength(text)
      full = bytes + size > outputBytes
      parts.push(full ? new StringDecoder().write(Buffer.from(text).subarray(0, outputBytes - bytes)) : text)
      bytes += size
      truncated ||= full
      if (full) parts.push(`\n[output cut: longer than ${outputBytes} bytes]`)
    },
    markCut() {
      truncated = true
    },
    get isFull() {
      return full
    },
    read: () => ({ output: parts.join('').replace(/\n$/, ''), outputTruncated: truncated }),
  }
}
