import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { Metrics } from './metrics/create-metrics.ts'
import { mayScrape } from './metrics/may-scrape.ts'

/** Resolves when the thing is usable; throws why it is not. */
export type ReadinessCheck = () => Promise<void>

export type HealthServer = {
  readonly url: string
  close(): Promise<void>
}

export type HealthServerOptions = {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly checks: Readonly<Record<string, ReadinessCheck>>
  /** A check that takes longer has failed; 1 s unless told. */
  readonly checkTimeoutMs?: number
  /** Served at `/metrics` to whoever shows the token, if one is set. */
  readonly metrics?: { readonly registry: Metrics; readonly token: string | null }
}

export type ReadinessReport = {
  readonly status: 'ready' | 'not_ready'
  readonly checks: Readonly<
    Record<string, { readonly status: 'ok' } | { readonly status: 'failed'; readonly detail: string }>
  >
}

/**
 * Serves `/livez` (the process answers: nothing else is asked, so an outage of Postgres or Redis restarts nobody) and `/readyz` (every
 * check passes: 200, else 503, with the state of each), and `/metrics` for Prometheus.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') answer(response, 405, { status: 'wrong_method' })
    else if (path === '/livez') answer(response, 200, { status: 'live' })
    else if (path === '/readyz')
      void checkReadiness(options.checks, options.checkTimeoutMs).then((report) =>
        answer(response, report.status === 'ready' ? 200 : 503, report),
      )
    else if (path === '/metrics' && options.metrics !== undefined)
      void answerScrape(response, options.metrics, request.headers.authorization)
    else answer(response, 404, { status: 'not_found' })
  })
  server.listen(options.port, options.host)
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  return {
    url: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** Runs all checks at once; one that throws or takes too long has failed, with the reason. */
export async function checkReadiness(
  checks: Readonly<Record<string, ReadinessCheck>>,
  timeoutMs = 1000,
): Promise<ReadinessReport> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        await within(timeoutMs, check())
        return [name, { status: 'ok' }] as const
      } catch (error) {
        return [name, { status: 'failed', detail: error instanceof Error ? error.message : String(error) }] as const
      }
    }),
  )
  return {
    status: results.every(([, { status }]) => status === 'ok') ? 'ready' : 'not_ready',
    checks: Object.fromEntries(results),
  }
}

async function within(timeoutMs: number, work: Promise<void>): Promise<void> {
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(() => timeout.reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  try {
    await Promise.race([work, timeout.promise])
  } finally {
    clearTimeout(timer)
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(`${JSON.stringify(body)}\n`)
}

async function answerScrape(
  response: ServerResponse,
  { registry, token }: NonNullable<HealthServerOptions['metrics']>,
  authorization: string | undefined,
): Promise<void> {
  if (!mayScrape(token, authorization)) return answer(response, 401, { status: 'unauthorized' })
  try {
    const { contentType, text } = await registry.scrape()
    response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' })
    response.end(text)
  } catch {
    answer(response, 500, { status: 'failed' })
  }
}
