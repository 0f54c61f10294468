import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { FreeConnections } from '../src/load/free-connections.ts'
import { HttpConnection, requestBytes } from '../src/load/http-connection.ts'
import { readReply } from '../src/load/read-reply.ts'

const PLAIN = 'HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\nDate: today\r\n\r\nhello'
const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe\r\nl\r\nA;note=1\r\n0123456789\r\n0\r\n\r\n'

/** A server that answers its requests one after the other, whichever connection they come by. */
async function serverOf(answer: (socket: Socket, request: string) => unknown): Promise<URL> {
  const server = createServer((socket) => {
    socket.setEncoding('latin1')
    socket.on('data', (request: string) => void answer(socket, request))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/commands?a=1`)
}

function connectionTo(url: URL): HttpConnection {
  const connection = new HttpConnection(url)
  onTestFinished(() => connection.close())
  return connection
}

const requestTo = (url: URL, body = '{"ü":1}'): Buffer =>
  requestBytes({ method: 'POST', url, headers: { authorization: 'Bearer me' }, body })

test('an answer is read whole wherever its bytes are split', () => {
  const trailed = CHUNKED.replace(/\r\n$/, 'Sum: 1\r\n\r\n')
  for (const [text, reply] of [
    [PLAIN, { status: 202, text: 'hello' }],
    ['HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n', { status: 404, text: '' }],
    [CHUNKED, { status: 200, text: 'he\r\nl0123456789' }],
    [trailed, { status: 200, text: 'he\r\nl0123456789' }],
  ] as const) {
    for (let length = 0; length < text.length; length++) expect(readReply(text.slice(0, length))).toBeNull()
    expect(readReply(text)).toEqual(reply)
  }
})

test('what is no answer that ends by itself is refused', () => {
  expect(() => readReply('SSH-2.0\r\n\r\n')).toThrow('not an answer')
  expect(() => readReply('HTTP/1.1 200 OK\r\nDate: today\r\n\r\n')).toThrow('without a length')
  expect(() => readReply(CHUNKED.replace('\r\nA;', '\r\nZ;'))).toThrow('not the size of a chunk')
  expect(() => readReply(`${PLAIN}more`)).toThrow('more than was asked for')
})

test('requests go one after the other over one connection, and an answer may come in parts', async () => {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const url = await serverOf(async (socket, request) => {
    requests.push(request)
    sockets.add(socket)
    for (const part of [CHUNKED.slice(0, 60), CHUNKED.slice(60)]) {
      socket.write(part)
      await sleep(5)
    }
  })
  const connection = connectionTo(url)
  const reply = { status: 200, text: 'he\r\nl0123456789' }
  expect(await connection.send(requestTo(url))).toEqual(reply)
  expect(await connection.send(requestTo(url))).toEqual(reply)
  expect(sockets.size).toBe(1)
  expect(requests[1]).toBe(
    `POST /commands?a=1 HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer me\r\ncontent-length: 8\r\n\r\n{"Ã¼":1}`,
  )
})

test('an answer that is a refusal is told with its text', async () => {
  const url = await serverOf((socket) => socket.write('HTTP/1.1 429 Too Many\r\ncontent-length: 4\r\n\r\nfull'))
  expect(await connectionTo(url).send(requestTo(url))).toEqual({ status: 429, text: 'full' })
})

test('a connection that ends within an answer fails the request, and says what was read', async () => {
  const url = await serverOf((socket) => socket.end(PLAIN.slice(0, -1)))
  await expect(connectionTo(url).send(requestTo(url))).rejects.toThrow(/closed before the whole answer: .*202 Accepted/)
})

test('what is no HTTP fails the request', async () => {
  const url = await serverOf((socket) => socket.write('220 mail\r\n\r\n'))
  await expect(connectionTo(url).send(requestTo(url))).rejects.toThrow('not an answer')
})

test('a connection that the server closes between requests is opened anew', async () => {
  const sockets = new Set<Socket>()
  const url = await serverOf((socket) => {
    sockets.add(socket)
    socket.end(PLAIN)
  })
  const connection = connectionTo(url)
  await connection.send(requestTo(url))
  await sleep(20)
  expect(await connection.send(requestTo(url))).toEqual({ status: 202, text: 'hello' })
  expect(sockets.size).toBe(2)
})

test('requests beyond the connections wait for one in their order', async () => {
  const order: string[] = []
  const url = await serverOf(async (socket, request) => {
    order.push(request.slice(-1))
    await sleep(5)
    socket.write(PLAIN)
  })
  const free = new FreeConnections([connectionTo(url)])
  await Promise.all(['1', '2', '3'].map((body) => free.send(requestTo(url, body))))
  expect(order).toEqual(['1', '2', '3'])
})
