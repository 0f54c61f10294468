/** Reads streams of events with the least that a client can do, and notes how long each event was on its way; see `open-readers.ts`. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReadersOrder, ReadersResult } from './open-readers.ts'

const OPENED_AT_ONCE = 50
const SENT_AT = /"sent_at_ms":\s*([\d.]+)/g
const EVENT_END = '\n\n'

process.once('disconnect', () => process.exit())
process.once('message', (order: ReadersOrder) => {
  run(order).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.(String(error)),
  )
})

async function run({ url, readers }: ReadersOrder): Promise<ReadersResult> {
  const delaysMs: number[] = []
  const ended: Promise<void>[] = []
  for (let begin = 0; begin < readers.length; begin += OPENED_AT_ONCE) {
    const opened = readers.slice(begin, begin + OPENED_AT_ONCE).map((reader) => openStream(url, reader, delaysMs))
    await Promise.all(opened.map(({ begun }) => begun))
    ended.push(...opened.map((stream) => stream.ended))
    await sleep(0)
  }
  process.send?.({ kind: 'open' })
  await Promise.all(ended)
  return { kind: 'ended', delaysMs }
}

/** `begun` with the first event, `ended` when the server has closed the stream. */
function openStream(url: string, { path, authorization }: ReadersOrder['readers'][number], delaysMs: number[]) {
  const { hostname, port, host } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  socket.setEncoding('latin1')
  // HTTP/1.0 has no chunks: what comes after the head is the stream and nothing else.
  const head = [`GET ${path} HTTP/1.0`, `Host: ${host}`, `Authorization: ${authorization}`, 'Accept: text/event-stream']
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  let unread = ''
  let sawEvent = (): void => undefined
  const begun = new Promise<void>((resolve, reject) => {
    sawEvent = resolve
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`a stream ended before its first event: ${unread.slice(0, 300)}`)))
  })
  begun.catch(() => undefined)
  const ended = new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.once('close', () => resolve())
  })
  ended.catch(() => undefined)
  socket.on('data', (text: string) => {
    const now = performance.timeOrigin + performance.now()
    unread += text
    const whole = unread.lastIndexOf(EVENT_END)
    if (whole < 0) return
    for (const [, sentAt] of unread.slice(0, whole).matchAll(SENT_AT)) delaysMs.push(now - Number(sentAt))
    unread = unread.slice(whole)
    sawEvent()
  })
  return { begun, ended }
}
