/** Sends the load that it is told of and answers with what it saw; see `load.ts`. */
import { FreeConnections } from './free-connections.ts'
import { HttpConnection, requestBytes } from './http-connection.ts'
import type { LoadOrder, LoadResult, Target } from './load.ts'

const OPEN_CONNECTIONS = 128

process.once('disconnect', () => process.exit())
process.once('message', ({ target, order }: { target: Target; order: LoadOrder }) => {
  run(target, order).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.(String(error)),
  )
})

async function run(target: Target, order: LoadOrder): Promise<LoadResult> {
  const url = new URL(target.url)
  const connections = Array.from(
    { length: order.kind === 'closed' ? order.clients : OPEN_CONNECTIONS },
    () => new HttpConnection(url),
  )
  const requests = requestsOf(target)
  const free = new FreeConnections(connections)
  const latenciesMs: number[] = []
  const dueAtMs: number[] = []
  const ids: string[] = []

  async function send(index: number, dueAt: number): Promise<void> {
    const { status, text } = await free.send(requests[index % requests.length] ?? Buffer.of())
    if (status !== 202) throw new Error(`answered ${status}: ${text}`)
    latenciesMs[index] = performance.now() - dueAt
    dueAtMs[index] = performance.timeOrigin + dueAt
    ids[index] = text
  }

  const hello = requestBytes({ method: 'GET', url: new URL('/', url), headers: {}, body: '' })
  await Promise.all(connections.map((connection) => connection.send(hello)))
  const begun = performance.now()
  if (order.kind === 'closed') {
    let next = 0
    const client = async (): Promise<void> => {
      while (next < order.requests) await send(next++, performance.now())
    }
    await Promise.all(Array.from({ length: order.clients }, client))
  } else {
    await atTheirTimes(order.requests, (index) => begun + (index * 1000) / order.perSecond, send)
  }
  const seconds = (performance.now() - begun) / 1000
  for (const connection of connections) connection.close()
  return { seconds, latenciesMs, dueAtMs, ids: ids.map(idOf) }
}

/** Each client in turn sends the first variation, then each the next one. */
function requestsOf({ url, clients, body, vary }: Target): readonly Buffer[] {
  const bodies = vary === undefined ? [body] : vary.values.map((value) => ({ ...body, [vary.field]: value }))
  return bodies.flatMap((each) =>
    clients.map(({ authorization }) =>
      requestBytes({
        method: 'POST',
        url: new URL(url),
        headers: { 'content-type': 'application/json', authorization },
        body: JSON.stringify(each),
      }),
    ),
  )
}

/** Looks at the clock as often as the loop turns: a timer's millisecond would be seen in the figures. */
function atTheirTimes(
  requests: number,
  dueAt: (index: number) => number,
  send: (index: number, dueAt: number) => Promise<void>,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent: Promise<void>[] = []
    const look = (): void => {
      while (sent.length < requests && dueAt(sent.length) <= performance.now()) {
        const request = send(sent.length, dueAt(sent.length))
        request.catch(reject)
        sent.push(request)
      }
      if (sent.length < requests) setTimeout(look, Math.max(0, dueAt(sent.length) - performance.now() - 0.5))
      else Promise.all(sent).then(resolve, reject)
    }
    look()
  })
}

function idOf(text: string): string {
  const answer: { id?: string; run?: { id: string } } = JSON.parse(text)
  return answer.run?.id ?? answer.id ?? ''
}
