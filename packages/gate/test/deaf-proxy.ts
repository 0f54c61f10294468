import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export type DeafProxy = {
  readonly url: string
  /** From now on the connections that there are carry nothing and are not closed; new ones are good. */
  deafen(): void
}

/** Stands between a client and a Redis until the test ends. */
export async function deafProxy(redisUrl: string): Promise<DeafProxy> {
  const { hostname, port } = new URL(redisUrl)
  const sockets = new Set<Socket>()
  const pairs = new Set<readonly [Socket, Socket]>()
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    pairs.add([client, upstream])
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.pipe(to)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const url = new URL(redisUrl)
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    deafen() {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        client.pause()
      }
      pairs.clear()
    },
  }
}
