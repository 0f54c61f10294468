import { ROUTES, type RouteName } from '@muster/contracts'
import { AppError } from '@muster/core'
import { createAcceptor, type EngineContext, QueueLimits } from '@muster/engine'
import { type Metrics, NO_TRACING, type Tracing } from '@muster/runtime'
import { Hono } from 'hono'
import { METHOD_NAME_ALL } from 'hono/router'
import { Authenticator } from './authenticator.ts'
import { mountBoard } from './board/mount-board.ts'
import { mountDocs } from './docs/mount-docs.ts'
import type { GatewayContext } from './gateway-context.ts'
import { requestIdOf } from './http/request-id.ts'
import { KeyWatch } from './live/key-watch.ts'
import { RunLogs } from './live/run-logs.ts'
import { createGatewayMetrics, gatewayReport } from './metrics/gateway-metrics.ts'
import { mountMetrics } from './metrics/mount-metrics.ts'
import { watchFleet } from './metrics/watch-fleet.ts'
import { type Mounting, mountRoute, refuse } from './mount-route.ts'
import { createReadiness } from './readiness.ts'
import { HANDLERS } from './routes/index.ts'

export type AppParts = {
  readonly engine: EngineContext
  readonly adminToken: string
  readonly migrationsDir: string
  /** Where the gateway counts; its own unless told. */
  readonly metrics?: Metrics
  /** What a scrape must show; absent or null, anyone may. */
  readonly metricsToken?: string | null
  readonly tracing?: Tracing
}

export type GatewayApp = {
  readonly app: Hono
  readonly logs: RunLogs
  /** Not ready from now on, and no connection is kept; streams end, so that their clients go elsewhere. */
  drain(): void
  /** Waits for what was accepted to be offered. */
  settled(): Promise<void>
}

/** The whole HTTP surface on parts that are open already; the caller closes them. */
export function buildApp(parts: AppParts): GatewayApp {
  const { adminToken, migrationsDir, metrics = createGatewayMetrics() } = parts
  const engine: EngineContext = { ...parts.engine, report: gatewayReport(metrics) }
  let draining = false
  const logs = new RunLogs(engine)
  const queues = new QueueLimits(engine)
  const context: GatewayContext = {
    database: engine.database,
    engine,
    acceptor: createAcceptor(engine, queues),
    queues,
    logs,
    readiness: createReadiness({ database: engine.database, gate: engine.gate, migrationsDir }),
  }
  const authenticator = new Authenticator(engine.database, adminToken)
  const mounting: Mounting = {
    app: new Hono(),
    context,
    authenticator,
    keyWatch: new KeyWatch((authorization) => authenticator.isRefused(authorization)),
    metrics,
    tracing: parts.tracing ?? NO_TRACING,
    isDraining: () => draining,
  }
  for (const name of routeNames()) mountNamed(mounting, name)
  watchFleet(metrics, engine, () => logs.readers)
  mountDocs(mounting.app)
  mountBoard(mounting.app, engine, adminToken)
  mountMetrics(mounting.app, metrics, parts.metricsToken ?? null)
  const refusals = createRefusals(mounting)
  mounting.app.notFound((c) => refusals.fetch(c.req.raw))
  mounting.app.onError((error, c) => refuse(mounting, requestIdIn(c.req.raw), error))
  return {
    app: mounting.app,
    logs,
    drain() {
      draining = true
      context.readiness.drain()
      logs.close()
      queues.close()
    },
    settled: () => context.acceptor.settled(),
  }
}

const routeNames = (): RouteName[] => Object.keys(ROUTES).filter((name): name is RouteName => name in ROUTES)

function mountNamed<Name extends RouteName>(mounting: Mounting, name: Name): void {
  const route: (typeof ROUTES)[Name] = ROUTES[name]
  mountRoute(mounting, route, HANDLERS[name])
}

/**
 * Answers what no route takes: another method of a known path is 405 with those it has, any other path 404. It is an app of its own, asked
 * last: a request that two handlers match costs more than one with a single one.
 */
function createRefusals(mounting: Mounting): Hono {
  const app = new Hono()
  const methods = new Map<string, string[]>()
  // where any path below one is taken, what is missing there is no matter of the method
  for (const { path, method } of mounting.app.routes)
    if (method !== METHOD_NAME_ALL && !path.endsWith('*')) methods.set(path, [...(methods.get(path) ?? []), method])
  for (const [path, known] of methods) {
    const allow = (known.includes('GET') ? [...known, 'HEAD'] : known).join(', ')
    app.all(path, (c) => {
      const error = new AppError('wrong_method', `${c.req.method} is not possible here; possible: ${allow}`)
      return refuse(mounting, requestIdIn(c.req.raw), error, { headers: { allow } })
    })
  }
  app.notFound((c) =>
    refuse(mounting, requestIdIn(c.req.raw), new AppError('route_not_found', 'no route has this path')),
  )
  return app
}

const requestIdIn = (request: Request): string => requestIdOf(request.headers.get('x-request-id'))
