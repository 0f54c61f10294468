/** An answer over HTTP/1.1: its status, and its body with a letter a byte. */
export type Reply = { readonly status: number; readonly text: string }

const HEAD_END = '\r\n\r\n'
const STATUS = /^HTTP\/1\.1 ([2-5]\d\d)[ \r]/
const LENGTH = /\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n/i
const CHUNKED = /\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n/i
const CHUNK_SIZE = /^([0-9a-f]+)[ \t]*(?:;.*)?$/i

/** The answer in what was read so far, in letters of a byte each; null while more is to come. Throws where it is none that ends by itself. */
export function readReply(read: string): Reply | null {
  const headEnd = read.indexOf(HEAD_END)
  if (headEnd < 0) return null
  const head = read.slice(0, headEnd + 2)
  const status = Number(STATUS.exec(head)?.[1])
  const length = LENGTH.exec(head)?.[1]
  const begin = headEnd + HEAD_END.length
  if (Number.isNaN(status)) throw new Error(`not an answer: ${head.slice(0, 300)}`)
  if (CHUNKED.test(head)) return readChunks(status, read, begin)
  if (length === undefined) throw new Error(`an answer without a length: ${head.slice(0, 300)}`)
  return ended(read, begin + Number(length), status, () => read.slice(begin))
}

function readChunks(status: number, read: string, begin: number): Reply | null {
  const chunks: string[] = []
  for (let at = begin; ; ) {
    const lineEnd = read.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const line = read.slice(at, lineEnd)
    const size = Number.parseInt(CHUNK_SIZE.exec(line)?.[1] ?? '', 16)
    if (Number.isNaN(size)) throw new Error(`not the size of a chunk: ${line.slice(0, 300)}`)
    const chunk = lineEnd + 2
    if (size === 0) {
      // trailers are fields like those of the head; none is the usual case
      const end = read.startsWith('\r\n', chunk) ? chunk : read.indexOf(HEAD_END, chunk) + 2
      return end < chunk ? null : ended(read, end + 2, status, () => chunks.join(''))
    }
    chunks.push(read.slice(chunk, chunk + size))
    at = chunk + size + 2
  }
}

function ended(read: string, end: number, status: number, text: () => string): Reply | null {
  if (read.length < end) return null
  if (read.length > end) throw new Error(`more than was asked for: ${read.slice(end, end + 300)}`)
  return { status, text: text() }
}
