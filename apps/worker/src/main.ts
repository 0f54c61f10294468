import { ConfigError, createLogger, drainOnSignal } from '@muster/runtime'
import { environment, type WorkerConfig } from './config.ts'
import { startWorker } from './start-worker.ts'

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
const worker = await startWorker(config, logger).catch(giveUp)
drainOnSignal({ logger, drain: () => worker.drain(), force: () => worker.kill() })
logger.info({ health_url: worker.healthUrl, node_id: worker.nodeId }, 'ready')

/** What a library throws may carry secrets, which the log knows to leave out. */
function giveUp(error: unknown): never {
  logger.fatal({ err: error }, 'could not start')
  process.exit(1)
}
