/** Sends the load that it is told of and answers with what it saw; see `load.ts`. */
import { Pool } from 'undici'
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
  const { origin, pathname } = new URL(target.url)
  const connections = order.kind === 'closed' ? order.clients : OPEN_CONNECTIONS
  const pool = new Pool(origin, { connections, pipelining: 1 })
  const headers = target.clients.map(({ authorization }) => ({ 'content-type': 'application/json', authorization }))
  const { vary } = target
  const bodies = (vary?.values ?? ['']).map((value) =>
    JSON.stringify(vary === undefined ? target.body : { ...target.body, [vary.field]: value }),
  )
  const latenciesMs: number[] = []
  const dueAtMs: number[] = []
  const ids: string[] = []

  function send(index: number, dueAt: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let status = 0
      let text = ''
      // the least that a client can do, so that the load takes little of the machine that it measures
      pool.dispatch(
        {
          path: pathname,
          method: 'POST',
          headers: headers[index % headers.length] ?? {},
          body: bodies[Math.floor(index / headers.length) % bodies.length] ?? '',
        },
        {
          onRequestStart() {},
          onResponseStart(_controller, statusCode) {
            status = statusCode
          },
          onResponseData(_controller, chunk) {
            text += chunk.toString('latin1')
          },
          onResponseEnd() {
            if (status !== 202) return reject(new Error(`answered ${status}: ${text}`))
            latenciesMs[index] = performance.now() - dueAt
            dueAtMs[index] = performance.timeOrigin + dueAt
            ids[index] = text
            resolve()
          },
          onResponseError: (_controller, error) => reject(error),
        },
      )
    })
  }

  await Promise.all(
    Array.from({ length: connections }, () =>
      pool.request({ path: '/', method: 'GET' }).then(({ body }) => body.dump()),
    ),
  )
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
  await pool.close()
  return { seconds, latenciesMs, dueAtMs, ids: ids.map(idOf) }
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
