import { once } from 'node:events'
import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAdaptorServer } from '@hono/node-server'
import { createTicker, type EngineContext } from '@muster/engine'
import { createGate } from '@muster/gate'
import { type Logger, paceWarnings, startClock, startTracing } from '@muster/runtime'
import { openDatabase } from '@muster/store'
import { buildApp } from './build-app.ts'
import type { GatewayConfig } from './config.ts'
import { createGatewayMetrics } from './metrics/gateway-metrics.ts'

const POOL_SIZE = 16
/** How long requests that are under way may take to end when the process stops. */
const FINISH_MS = 10_000
/** How often connections are closed that have become idle meanwhile. */
const LET_GO_MS = 50
/** Longer than the idle time-out of usual load balancers, so that they close first. */
const KEEP_ALIVE_MS = 75_000
/** How often a gateway looks whether somebody ticks, and after how long without a tick it does. */
const LOOK_MS = 1000
const TICKS_AFTER_MS = 3000

export type Gateway = {
  readonly url: string
  /** Takes no more connections, ends streams, lets requests finish, closes what it opened. */
  close(): Promise<void>
}

/** Opens Postgres and the gate and serves. Starts whether or not Redis or Postgres can be reached. */
export async function startGateway(config: GatewayConfig, logger: Logger): Promise<Gateway> {
  const warn = paceWarnings(logger)
  const database = openDatabase({
    url: config.databaseUrl,
    poolSize: POOL_SIZE,
    onError: (error) => warn(error, {}, 'a database connection was lost'),
  })
  const gate = createGate({
    redisUrl: config.redisUrl,
    fleet: config.fleet,
    onError: (error, source) => warn(error, { source }, 'the gate is in trouble'),
  })
  const metrics = createGatewayMetrics({ tenantDetail: config.metricsTenants })
  metrics.includeProcess()
  const tracing = await startTracing({ endpoint: config.otlpEndpoint, service: 'muster-gateway', warn })
  const engine: EngineContext = { database, gate, log: logger, ceilings: config.ceilings }
  const gateway = buildApp({
    engine,
    adminToken: config.adminToken,
    migrationsDir: config.migrationsDir,
    metrics,
    metricsToken: config.metricsToken,
    tracing,
  })
  const server = createAdaptorServer({ fetch: gateway.app.fetch, hostname: config.host }) as Server
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.listen(config.port, config.host)
  await once(server, 'listening')
  // What work there is removes its finished work.
  const ticker = createTicker(engine, { lossesMax: config.lossesMax, retentionDays: 0, takesAfterMs: TICKS_AFTER_MS })
  const clock = startClock(LOOK_MS, () => Promise.all([tickAndSweep(), lookAtGate()]), warn)
  async function tickAndSweep(): Promise<void> {
    if (await ticker.tick()) await ticker.sweep()
  }
  /** A Redis that takes no writes is known by its breaker, though nothing is offered from here. */
  async function lookAtGate(): Promise<void> {
    await gate.state().catch(() => undefined)
  }

  return {
    url: urlOf(server, config.host),
    async close() {
      gateway.drain()
      const stopped = clock.stop()
      const closed = once(server, 'close')
      server.close()
      const letGo = setInterval(() => server.closeIdleConnections(), LET_GO_MS)
      await Promise.race([closed, sleep(FINISH_MS, undefined, { ref: false })])
      clearInterval(letGo)
      server.closeAllConnections()
      await closed
      await gateway.settled()
      await stopped
      await gate.close()
      await database.close()
      await tracing.close()
    },
  }
}

function urlOf(server: Server, host: string): string {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
