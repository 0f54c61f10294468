import { ConfigError, createLogger, drainOnSignal } from '@muster/runtime'
import { environment, type WorkerConfig } from './config.ts'
import { type RunningWorker, startWorker } from './start-worker.ts'

function configOrExit(): WorkerConfig {
  try {
    return environment()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(2)
  }
}

const config = configOrExit()
const logger = createLogger({ app: 'worker', level: config.logLevel, fields: { pid: process.pid } })
const stopping = new AbortController()
let worker: RunningWorker | null = null
const starting = startWorker(config, logger, { signal: stopping.signal }).catch(giveUp)
// Before the start is over: a signal between its registration and its readiness would leave a node behind that nobody is.
drainOnSignal({ logger, drain, force: () => worker?.kill() })
worker = await starting
if (worker !== null && !stopping.signal.aborted)
  logger.info({ health_url: worker.healthUrl, node_id: worker.nodeId }, 'ready')

/** Ends a start that has nothing to give back yet, and drains any other once it is over. */
async function drain(): Promise<void> {
  stopping.abort()
  await (await starting)?.drain()
}

/** A start that was asked to end has not failed. What a library throws may carry secrets, which the log knows to leave out. */
function giveUp(error: unknown): null {
  if (error === stopping.signal.reason) return null
  logger.fatal({ err: error }, 'could not start')
  process.exit(1)
}
