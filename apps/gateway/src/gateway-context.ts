import type { Acceptor, EngineContext, QueueLimits } from '@muster/engine'
import type { Database } from '@muster/store'
import type { RunLogs } from './live/run-logs.ts'
import type { Readiness } from './readiness.ts'

/** What the handlers work on. */
export type GatewayContext = {
  readonly database: Database
  readonly engine: EngineContext
  readonly acceptor: Acceptor
  readonly queues: QueueLimits
  readonly logs: RunLogs
  readonly readiness: Readiness
}
