import { ConfigError, createLogger, drainOnSignal } from '@muster/runtime'
import { type GatewayConfig, readConfig } from './config.ts'
import { startGateway } from './start-gateway.ts'

const CONFIG_FAULT = 2

const config = configOrExit()
const logger = createLogger({ app: 'gateway', level: config.logLevel, fields: { pid: process.pid } })
const gateway = await startGateway(config, logger).catch(giveUp)
drainOnSignal({ logger, drain: () => gateway.close() })
logger.info({ url: gateway.url }, 'listening')

function configOrExit(): GatewayConfig {
  try {
    return readConfig()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(CONFIG_FAULT)
  }
}

/** What a library throws may carry secrets, which the log knows to leave out. */
function giveUp(error: unknown): never {
  logger.fatal({ err: error }, 'could not start')
  process.exit(1)
}
