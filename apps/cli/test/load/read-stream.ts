export type StreamedEvent = { readonly seq: number; readonly type: string; readonly json: string }

export type StreamPart = {
  readonly status: number
  readonly events: readonly StreamedEvent[]
}

/**
 * Reads a run's stream from after a number until `enough` events came, then drops the connection, as a client that loses its network does.
 * A connection that could not be made or broke counts as the end of a part.
 */
export async function readStreamPart(
  request: (signal: AbortSignal, headers: Record<string, string>) => Promise<Response>,
  afterSeq: number,
  enough: number,
): Promise<StreamPart> {
  const drop = new AbortController()
  const events: StreamedEvent[] = []
  let status = 0
  try {
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (afterSeq > 0) headers['last-event-id'] = String(afterSeq)
    const response = await request(drop.signal, headers)
    status = response.status
    if (response.status !== 200 || response.body === null) return { status, events }
    let text = ''
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const frames = text.split('\n\n')
      text = frames.pop() ?? ''
      for (const frame of frames) {
        const event = parseFrame(frame)
        if (event !== null) events.push(event)
      }
      if (events.length >= enough) break
    }
  } catch {
    // dropped, by us or by a gateway that went away
  } finally {
    drop.abort()
  }
  return { status, events }
}

function parseFrame(frame: string): StreamedEvent | null {
  const fields = new Map<string, string>()
  for (const line of frame.split('\n')) {
    const colon = line.indexOf(': ')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2))
  }
  const id = fields.get('id')
  return id === undefined ? null : { seq: Number(id), type: fields.get('event') ?? '', json: fields.get('data') ?? '' }
}
