import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type HoldablePort = {
  readonly url: string
  /** Once a client says this, nothing that the server says comes through; what clients say still does. */
  holdAnswersOnce(said: string): void
  close(): Promise<void>
}

/** A port before a server, for staging an answer that is lost after its work was done. */
export async function holdablePort(target: string): Promise<HoldablePort> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let awaited: string | null = null
  let holding = false
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname)
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
    client.on('data', (chunk) => {
      if (awaited !== null && chunk.includes(awaited)) holding = true
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (!holding) client.write(chunk)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  const url = new URL(target)
  url.port = String(typeof address === 'object' && address !== null ? address.port : 0)
  return {
    url: url.href,
    holdAnswersOnce(said) {
      awaited = said
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}
