import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

/** A Redis of a test's own, on a free port, with an append-only file in a folder of its own. */
export type RedisServer = {
  readonly url: string
  /** An ordinary client to look at the keys. */
  readonly client: Redis
  /** Stops the server and starts it again on the same data. */
  readonly restart: () => Promise<void>
  readonly kill: () => Promise<void>
  readonly hang: () => void
  readonly wake: () => void
  readonly stop: () => Promise<void>
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })

export const startRedis = async (): Promise<RedisServer> => {
  const dir = mkdtempSync(join(tmpdir(), 'muster-gate-'))
  const port = await freePort()
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'yes']
  const launch = (): ChildProcess => spawn('redis-server', args, { stdio: 'ignore' })
  let child = launch()
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 20, maxRetriesPerRequest: null })
  client.on('error', () => {})
  await client.ping()
  const end = (signal: NodeJS.Signals) =>
    new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve()
      child.once('exit', () => resolve())
      child.kill('SIGCONT')
      child.kill(signal)
    })
  return {
    url: `redis://127.0.0.1:${port}`,
    client,
    restart: async () => {
      await end('SIGTERM')
      child = launch()
      await client.ping()
    },
    kill: () => end('SIGKILL'),
    hang: () => void child.kill('SIGSTOP'),
    wake: () => void child.kill('SIGCONT'),
    stop: async () => {
      client.disconnect()
      await end('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
