import type { Line } from './line-splitter.ts'
import { storableText } from './storable.ts'

/** A line as it is kept: storable, and marked where it was cut. */
export function lineText(line: Line): string {
  const text = storableText(line.text)
  return line.cut ? `${text} … [line cut at ${line.bytes} bytes]` : text
}
