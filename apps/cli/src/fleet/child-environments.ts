import type { Config, LogLevel } from '../config.ts'

export type Connections = {
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly adminToken: string
  readonly sessionsRoot: string
  readonly cacheRoot: string
}

type Environment = Readonly<Record<string, string | undefined>>

export function gatewayEnvironment(config: Config, connections: Connections, port: number): Environment {
  return {
    ...shared(config, connections),
    MUSTER_HOST: config.host,
    MUSTER_PORT: String(port),
    MUSTER_ADMIN_TOKEN: connections.adminToken,
  }
}

/** A worker needs no admin token, and is given none. */
export function workerEnvironment(config: Config, connections: Connections): Environment {
  return {
    ...shared(config, connections),
    MUSTER_ADMIN_TOKEN: undefined,
    MUSTER_HOST: config.host,
    MUSTER_HEALTH_PORT: '0',
    MUSTER_SLOTS: String(config.slots),
    MUSTER_POOLS: config.pools,
    MUSTER_SESSIONS_ROOT: connections.sessionsRoot,
    MUSTER_CACHE_ROOT: connections.cacheRoot,
    MUSTER_DRAIN_MAX_MS: String(config.drainMaxMs),
  }
}

function shared(config: Config, connections: Connections): Environment {
  return {
    ...config.inherited,
    DATABASE_URL: connections.databaseUrl,
    REDIS_URL: connections.redisUrl,
    MUSTER_HOME: config.home,
    MUSTER_LOG_LEVEL: childLogLevel(config.logLevel),
  }
}

/** A part always says that it is ready, at level info, since that is how its supervisor knows; less is shown, not less is said. */
function childLogLevel(shown: LogLevel): LogLevel {
  return shown === 'trace' || shown === 'debug' ? shown : 'info'
}
