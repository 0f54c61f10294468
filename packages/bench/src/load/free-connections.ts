import type { HttpConnection } from './http-connection.ts'
import type { Reply } from './read-reply.ts'

/** Sends each request over a connection that is free; those beyond wait for one in their order. */
export class FreeConnections {
  readonly #free: HttpConnection[]
  readonly #waiting: ((connection: HttpConnection) => void)[] = []

  constructor(connections: readonly HttpConnection[]) {
    this.#free = [...connections]
  }

  async send(request: Buffer): Promise<Reply> {
    const connection = this.#free.pop() ?? (await new Promise<HttpConnection>((give) => this.#waiting.push(give)))
    const reply = await connection.send(request)
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(connection)
    else next(connection)
    return reply
  }
}
