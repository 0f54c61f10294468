import { connect, type Socket } from 'node:net'
import { type Reply, readReply } from './read-reply.ts'

/** Where answers are read to: each is taken out at once, so that all connections share it. */
const READ_BUFFER = Buffer.allocUnsafe(65_536)

/** A connection that rested longer is opened anew, before a server closes it under a request. */
const REST_MS_MAX = 2000

type Exchange = { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void }

/** A keep-alive connection for one request at a time, with the least that a client can do. One that the server closed meanwhile is opened anew. */
export class HttpConnection {
  readonly #host: string
  readonly #port: number
  #socket: Socket | null = null
  #exchange: Exchange | null = null
  #unread = ''
  #usedAt = 0

  constructor({ hostname, port }: URL) {
    this.#host = hostname
    this.#port = Number(port)
  }

  /** Sends a whole request and resolves with its answer; rejects when the connection fails or ends before. */
  send(request: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#exchange = { resolve, reject }
      if (performance.now() - this.#usedAt > REST_MS_MAX) this.#drop()
      this.#socket ??= this.#open()
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#drop()
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = null
    socket?.destroy()
  }

  #open(): Socket {
    const socket = connect({
      host: this.#host,
      port: this.#port,
      noDelay: true,
      onread: {
        buffer: READ_BUFFER,
        callback: (size) => {
          this.#take(READ_BUFFER.toString('latin1', 0, size))
          return true
        },
      },
    })
    const fail = (error: Error): void => {
      if (this.#socket !== socket) return
      this.#socket = null
      this.#end()?.reject(error)
    }
    socket.once('error', fail)
    // told before `close`, so that no request is written to a connection that takes none
    socket.once('end', () => fail(this.#closed()))
    socket.once('close', () => fail(this.#closed()))
    return socket
  }

  #take(text: string): void {
    this.#unread += text
    try {
      const reply = readReply(this.#unread)
      if (reply !== null) this.#end()?.resolve(reply)
    } catch (error) {
      this.#socket?.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #end(): Exchange | null {
    const exchange = this.#exchange
    this.#exchange = null
    this.#unread = ''
    this.#usedAt = performance.now()
    return exchange
  }

  #closed(): Error {
    return new Error(`the connection was closed before the whole answer: ${this.#unread.slice(0, 300)}`)
  }
}

export type HttpRequest = {
  readonly method: 'GET' | 'POST'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A request as it goes over the wire. */
export function requestBytes({ method, url, headers, body }: HttpRequest): Buffer {
  const lines = [
    `${method} ${url.pathname}${url.search} HTTP/1.1`,
    `host: ${url.host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}
