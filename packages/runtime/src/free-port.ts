import { createServer } from 'node:net'

/** A port of 127.0.0.1 that was free a moment ago: the wanted one if it is free, else any. */
export async function freePort(wanted?: number): Promise<number> {
  if (wanted !== undefined && (await isPortFree('127.0.0.1', wanted))) return wanted
  const port = await listenOnce('127.0.0.1', 0)
  if (port === null) throw new Error('no free port on 127.0.0.1')
  return port
}

/** Whether one could listen there a moment ago. */
export async function isPortFree(host: string, port: number): Promise<boolean> {
  return (await listenOnce(host, port)) !== null
}

function listenOnce(host: string, port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address()
      const found = typeof address === 'object' && address !== null ? address.port : null
      server.close(() => resolve(found))
    })
  })
}
