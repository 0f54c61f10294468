import { fileURLToPath } from 'node:url'
import type { Ceilings } from '@muster/core'
import {
  envAdminToken,
  envDatabaseUrl,
  envInteger,
  envLogLevel,
  envMetricsTenants,
  envMetricsToken,
  envOtlpEndpoint,
  envPort,
  envRedisUrl,
  parseEnv,
  type TenantDetail,
} from '@muster/runtime'
import { z } from 'zod'
import { envCeilings } from './env-ceilings.ts'

const environmentSchema = z.object({
  DATABASE_URL: envDatabaseUrl,
  REDIS_URL: envRedisUrl,
  MUSTER_HOST: z.string().default('127.0.0.1'),
  MUSTER_PORT: envPort.default(8080),
  MUSTER_ADMIN_TOKEN: envAdminToken,
  MUSTER_FLEET: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/, 'must match [a-z0-9-]{1,32}')
    .default('muster'),
  MUSTER_LOSSES_MAX: envInteger(1, 1000).default(5),
  MUSTER_RESOURCES_MAX: envCeilings.default({}),
  MUSTER_LOG_LEVEL: envLogLevel.default('info'),
  MUSTER_METRICS_TOKEN: envMetricsToken,
  MUSTER_METRICS_TENANTS: envMetricsTenants,
  OTEL_EXPORTER_OTLP_ENDPOINT: envOtlpEndpoint,
  MUSTER_MIGRATIONS_DIR: z.string().default(fileURLToPath(new URL('../../../prisma/migrations/', import.meta.url))),
})

export type GatewayConfig = {
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly adminToken: string
  /** The name that every Redis key of the fleet carries. */
  readonly fleet: string
  /** The most of each resource that a run may have. */
  readonly ceilings: Ceilings
  /** Losses in a row after which a run ends, where no worker lives to say so. */
  readonly lossesMax: number
  readonly logLevel: z.infer<typeof envLogLevel>
  readonly migrationsDir: string
  /** What a scrape of `/metrics` must show; null: nothing. */
  readonly metricsToken: string | null
  /** How far metrics tell tenants apart. */
  readonly metricsTenants: TenantDetail
  /** Where spans go; null: no tracing. */
  readonly otlpEndpoint: string | null
}

/** Reads the environment; throws a `ConfigError` that names every fault. */
export function readConfig(): GatewayConfig {
  const read = parseEnv(environmentSchema, process.env)
  return {
    databaseUrl: read.DATABASE_URL,
    redisUrl: read.REDIS_URL,
    host: read.MUSTER_HOST,
    port: read.MUSTER_PORT,
    adminToken: read.MUSTER_ADMIN_TOKEN,
    fleet: read.MUSTER_FLEET,
    ceilings: read.MUSTER_RESOURCES_MAX,
    lossesMax: read.MUSTER_LOSSES_MAX,
    logLevel: read.MUSTER_LOG_LEVEL,
    migrationsDir: read.MUSTER_MIGRATIONS_DIR,
    metricsToken: read.MUSTER_METRICS_TOKEN,
    metricsTenants: read.MUSTER_METRICS_TENANTS,
    otlpEndpoint: read.OTEL_EXPORTER_OTLP_ENDPOINT,
  }
}
