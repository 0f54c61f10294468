import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openDatabase } from '@muster/store'
import { createDatabase, randomFrom, seed, sharedRedis, sized, type TestDatabase, until } from '@muster/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Driver } from './drive-run.ts'
import { ADMIN_TOKEN } from './gateway-fixture.ts'
import { readSse } from './sse-reader.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

type Started = { readonly child: ChildProcess; readonly url: string }

let database: TestDatabase
let redis: { readonly url: string; readonly fleet: string }
const children: ChildProcess[] = []
beforeAll(async () => {
  database = await createDatabase()
  redis = sharedRedis()
})
afterAll(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await database.drop()
})

async function start(env: Record<string, string> = {}): Promise<Started> {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      MUSTER_FLEET: redis.fleet,
      MUSTER_PORT: '0',
      MUSTER_ADMIN_TOKEN: ADMIN_TOKEN,
      ...env,
    },
  })
  children.push(child)
  if (child.stdout === null) throw new Error('no output')
  for await (const line of createInterface({ input: child.stdout })) {
    const entry: { msg?: string; url?: string } = JSON.parse(line)
    if (entry.msg !== 'listening' || entry.url === undefined) continue
    child.stdout.resume()
    return { child, url: entry.url }
  }
  throw new Error('the gateway did not start')
}

const auth = { authorization: `Bearer ${ADMIN_TOKEN}` }
const post = (url: string, path: string, body: object): Promise<Response> =>
  fetch(`${url}${path}`, {
    method: 'POST',
    headers: { ...auth, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

async function queuedRun(url: string): Promise<string> {
  await post(url, '/v1/workspaces', { key: 'default' })
  await post(url, '/v1/agents', { key: 'a', config: { runner: 'process', command: ['cat'] } })
  const sent = await post(url, '/v1/commands', { agent: 'a', message: 'm' })
  const body: unknown = await sent.json()
  return String(Reflect.get(Object(Reflect.get(Object(body), 'run')), 'id'))
}

const stream = (url: string, runId: string, after: number, signal: AbortSignal | null = null): Promise<Response> =>
  fetch(`${url}/v1/runs/${runId}/events`, {
    headers: { ...auth, accept: 'text/event-stream', 'last-event-id': String(after) },
    signal,
  })

/** What an old health check gets. */
const withoutHost = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { port, hostname } = new URL(url)
    let got = ''
    const socket = connect(Number(port), hostname, () => socket.write('GET /livez HTTP/1.0\r\n\r\n'))
    socket.on('data', (piece) => {
      got += piece
    })
    socket.on('close', () => resolve(got))
    socket.on('error', reject)
  })

describe('the gateway as a process', () => {
  test('starts with Redis away, says where it listens, and is ready', async () => {
    const { url, child } = await start({ REDIS_URL: 'redis://127.0.0.1:1' })
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    expect(await withoutHost(url)).toMatch(/^HTTP\/1.1 200 /)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('faults of the configuration are all told, and it exits with 2', async () => {
    const child = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { MUSTER_ADMIN_TOKEN: 'short', MUSTER_PORT: 'x' },
    })
    let told = ''
    child.stderr.on('data', (piece) => {
      told += piece
    })
    expect(await once(child, 'close')).toEqual([2, null])
    for (const name of ['DATABASE_URL', 'REDIS_URL', 'MUSTER_ADMIN_TOKEN', 'MUSTER_PORT']) expect(told).toContain(name)
    expect(told).not.toContain('short')
  })

  test('SIGTERM ends streams cleanly, finishes what is under way, and exits with 0; so does the loss of its supervisor', async () => {
    for (const stop of [(child: ChildProcess) => child.kill('SIGTERM'), (child: ChildProcess) => child.disconnect()]) {
      const { url, child } = await start()
      const runId = await queuedRun(url)
      const reading = stream(url, runId, 0).then((response) => readSse(response))
      const waiting = fetch(`${url}/v1/commands`, {
        method: 'POST',
        headers: { ...auth, 'content-type': 'application/json', prefer: 'wait=60' },
        body: JSON.stringify({ agent: 'a', message: 'm' }),
      })
      await until(async () => (await database.query('select 1 from runs')).length % 2 === 0)
      stop(child)
      expect((await reading).map((event) => event.id)).toEqual([1])
      expect((await waiting).status).toBe(202)
      if (child.exitCode === null) await once(child, 'exit')
      expect(child.exitCode).toBe(0)
    }
  })

  test('a body over 1 MiB is 413 over the wire, announced or in chunks, and the process goes on', async () => {
    const { url, child } = await start()
    const { port, hostname } = new URL(url)
    const exchange = (head: string, body: (write: (piece: string) => void) => void): Promise<string> =>
      new Promise((resolve, reject) => {
        let got = ''
        const socket = connect(Number(port), hostname, () => {
          socket.write(
            `POST /v1/commands HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nContent-Type: application/json\r\n${head}\r\n\r\n`,
          )
          body((piece) => socket.write(piece))
        })
        socket.on('data', (piece) => {
          got += piece
          if (got.includes('agent_contract')) {
            socket.destroy()
            resolve(got)
          }
        })
        socket.on('error', () => (got === '' ? reject(new Error('cut off without an answer')) : resolve(got)))
        socket.on('close', () => resolve(got))
      })
    await queuedRun(url)
    expect(await exchange('Content-Length: 2000000', (write) => write('{'))).toMatch(/^HTTP\/1.1 413 /)
    const chunk = 'x'.repeat(65_536)
    const chunked = await exchange('Transfer-Encoding: chunked', (write) => {
      for (let index = 0; index < 40; index++) write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`)
    })
    expect(chunked).toMatch(/^HTTP\/1.1 413 /)
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    child.kill('SIGKILL')
    await once(child, 'exit')
  })

  test('a batch of 7 MiB is taken over the wire, announced or in chunks; one over 8 MiB is 413', async () => {
    const { url, child } = await start()
    await queuedRun(url)
    const send = async (body: string | ReadableStream): Promise<Response> =>
      fetch(`${url}/v1/commands/batch`, {
        method: 'POST',
        headers: { ...auth, 'content-type': 'application/json' },
        body,
        duplex: 'half',
      })
    const batch = (count: number): string =>
      JSON.stringify({ commands: Array.from({ length: count }, () => ({ agent: 'a', message: 'x'.repeat(500_000) })) })
    for (const body of [batch(14), new Blob([batch(14)]).stream()]) {
      const answer = await send(body)
      const { results } = z.object({ results: z.array(z.object({ status: z.int() })) }).parse(await answer.json())
      expect(results.map((one) => one.status)).toEqual(Array.from({ length: 14 }, () => 202))
    }
    expect((await send(batch(17))).status).toBe(413)
    child.kill('SIGKILL')
    await once(child, 'exit')
  })

  test('random disconnects while gateways are killed and restarted: no gap, no duplicate, 204 at the end', async () => {
    const disconnects = sized({ test: 60, prove: 1000 })
    const total = sized({ test: 300, prove: 4000 })
    const random = randomFrom(seed())
    const pool = openDatabase({ url: database.url, poolSize: 2, onError: () => undefined })
    let gateway = await start()
    try {
      const runId = await queuedRun(gateway.url)
      const driver = await Driver.register(pool)
      const generation = await driver.claim(runId)
      const writing = (async () => {
        let written = 2
        while (written < total - 1) {
          const count = Math.min(1 + Math.floor(random() * 8), total - 1 - written)
          await driver.say(
            runId,
            generation,
            Array.from({ length: count }, () => 'x'),
          )
          written += count
        }
        await driver.succeed(runId, generation, 'done')
      })()
      const seen: number[] = []
      let count = 0
      for (; ; count++) {
        if (count === Math.floor(disconnects / 3) || count === Math.floor((disconnects * 2) / 3)) {
          gateway.child.kill('SIGKILL')
          await once(gateway.child, 'exit')
          gateway = await start()
        }
        const leave = new AbortController()
        const response = await stream(gateway.url, runId, seen.at(-1) ?? 0, leave.signal)
        if (response.status === 204) break
        const enough = count < disconnects ? 1 + Math.floor(random() * 6) : Number.POSITIVE_INFINITY
        const events = await readSse(response, (sofar) => sofar.length >= enough)
        leave.abort()
        seen.push(...events.slice(0, enough).map((event) => event.id))
      }
      await writing
      expect(count).toBeGreaterThanOrEqual(disconnects)
      expect(seen).toEqual(Array.from({ length: total }, (_, index) => index + 1))
    } finally {
      gateway.child.kill('SIGTERM')
      await once(gateway.child, 'exit')
      await pool.close()
    }
  }, 120_000)
})
