/** One event of a stream as a client sees it. */
export type SseEvent = {
  readonly id: number
  readonly type: string
  readonly data: { readonly seq: number; readonly data: object }
}

/** Splits what a server sends into events; comments and retry hints are counted, not kept. */
class SseReader {
  readonly events: SseEvent[] = []
  hints = 0
  #rest = ''

  take(piece: string): void {
    const blocks = (this.#rest + piece).split('\n\n')
    this.#rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
      )
      if (!fields.has('data')) this.hints++
      else
        this.events.push({
          id: Number(fields.get('id')),
          type: fields.get('event') ?? '',
          data: JSON.parse(fields.get('data') ?? 'null'),
        })
    }
  }
}

/** Reads a stream to its end, or until `enough` of the events so far. */
export async function readSse(
  response: Response,
  enough: (events: readonly SseEvent[]) => boolean = () => false,
): Promise<SseEvent[]> {
  const reader = new SseReader()
  if (response.body === null) return []
  const text = new TextDecoder()
  for await (const chunk of response.body) {
    reader.take(text.decode(chunk, { stream: true }))
    if (enough(reader.events)) break
  }
  return reader.events
}
