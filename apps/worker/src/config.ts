import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  envDatabaseUrl,
  envInteger,
  envLogLevel,
  envMetricsTenants,
  envMetricsToken,
  envOtlpEndpoint,
  envPools,
  envPort,
  envRedisUrl,
  parseEnv,
} from '@muster/runtime'
import type { RootSource } from '@muster/sandbox'
import { z } from 'zod'

const schema = z
  .object({
    DATABASE_URL: envDatabaseUrl,
    REDIS_URL: envRedisUrl,
    MUSTER_FLEET: z
      .string()
      .regex(/^[a-z0-9-]{1,32}$/)
      .default('muster'),
    MUSTER_POOLS: envPools.default({ bubblewrap: 4 }),
    MUSTER_NOOP: z.literal('for-benchmarks').optional(),
    MUSTER_SESSIONS_ROOT: z.string().startsWith('/', 'must be an absolute path'),
    MUSTER_CACHE_ROOT: z.string().startsWith('/', 'must be an absolute path').default(join(tmpdir(), 'muster-cache')),
    MUSTER_BUNDLES_ROOT: z.string().startsWith('/', 'must be an absolute path').optional(),
    MUSTER_CGROUPS: z.enum(['auto', 'hidden']).default('auto'),
    MUSTER_BWRAP_PATH: z.string().startsWith('/', 'must be an absolute path').optional(),
    MUSTER_RUNC_PATH: z.string().startsWith('/', 'must be an absolute path').optional(),
    MUSTER_RUNSC_PATH: z.string().startsWith('/', 'must be an absolute path').optional(),
    MUSTER_OCI_ROOT: z
      .string()
      .regex(/^(host|(folder|image):\/.+)$/, 'must be host, folder:/path or image:/path/of/layout[#reference]')
      .default('host'),
    MUSTER_HEALTH_HOST: z.string().default('127.0.0.1'),
    MUSTER_HEALTH_PORT: envPort.default(0),
    MUSTER_DRAIN_MS: envInteger(0, 86_400_000).default(10_000),
    MUSTER_DRAIN_MAX_MS: envInteger(0, 86_400_000).default(600_000),
    MUSTER_CANCEL_GRACE_MS: envInteger(0, 600_000).default(3000),
    MUSTER_LOSSES_MAX: envInteger(1, 1000).default(5),
    MUSTER_RETENTION_DAYS: envInteger(0, 36_500).default(30),
    MUSTER_METRICS_TOKEN: envMetricsToken,
    MUSTER_METRICS_TENANTS: envMetricsTenants,
    OTEL_EXPORTER_OTLP_ENDPOINT: envOtlpEndpoint,
    MUSTER_MIGRATIONS_DIR: z.string().default(fileURLToPath(new URL('../../../prisma/migrations/', import.meta.url))),
    MUSTER_LOG_LEVEL: envLogLevel.default('info'),
  })
  .transform((env) => ({
    databaseUrl: env.DATABASE_URL,
    redisUrl: env.REDIS_URL,
    fleet: env.MUSTER_FLEET,
    /** Slots per pool; naming `none` is the operator's permission to run without a sandbox. */
    pools: env.MUSTER_POOLS,
    /** Runs of the pool `none` are answered inside the worker without running anything. */
    noop: env.MUSTER_NOOP !== undefined,
    /** The root of the session folders that all workers share. */
    sessionsRoot: env.MUSTER_SESSIONS_ROOT,
    /** Files that sandboxes are shown, kept between them; of this host only. */
    cacheRoot: env.MUSTER_CACHE_ROOT,
    /** The folder below which agents' bundles are; undefined: this node has none. */
    bundlesRoot: env.MUSTER_BUNDLES_ROOT,
    /** `hidden`: run as on a host without control groups; limits that need them are then not held, and so reported. */
    cgroups: env.MUSTER_CGROUPS,
    /** The programs of the pools `bubblewrap`, `runc` (crun too) and `gvisor`; undefined looks in the usual folders. */
    bwrapPath: env.MUSTER_BWRAP_PATH,
    runcPath: env.MUSTER_RUNC_PATH,
    runscPath: env.MUSTER_RUNSC_PATH,
    /** Where containers get their root from. */
    ociRoot: rootSource(env.MUSTER_OCI_ROOT),
    healthHost: env.MUSTER_HEALTH_HOST,
    healthPort: env.MUSTER_HEALTH_PORT,
    /** After this much of a drain, runs that still run are handed back. */
    drainMs: env.MUSTER_DRAIN_MS,
    /** After this much, runs that may not be handed back any more count as lost. */
    drainMaxMs: env.MUSTER_DRAIN_MAX_MS,
    cancelGraceMs: env.MUSTER_CANCEL_GRACE_MS,
    lossesMax: env.MUSTER_LOSSES_MAX,
    /** The migrations that the database must have. */
    migrationsDir: env.MUSTER_MIGRATIONS_DIR,
    /** Finished work is removed after so many days; 0: never. */
    retentionDays: env.MUSTER_RETENTION_DAYS,
    logLevel: env.MUSTER_LOG_LEVEL,
    /** What a scrape of `/metrics` must show; null: nothing. */
    metricsToken: env.MUSTER_METRICS_TOKEN,
    /** How far metrics tell tenants apart. */
    metricsTenants: env.MUSTER_METRICS_TENANTS,
    /** Where spans go; null: no tracing. */
    otlpEndpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
  }))

function rootSource(text: string): RootSource {
  const [, kind, path = '', reference] = /^(folder|image):([^#]+)(?:#(.*))?$/.exec(text) ?? []
  if (kind === 'folder') return { kind, path }
  if (kind === 'image') return { kind, layout: path, ...(reference === undefined ? {} : { reference }) }
  return { kind: 'host' }
}

export type WorkerConfig = z.infer<typeof schema>

/** Reads the worker's environment; throws `ConfigError` with all faults together. */
export const readConfig = (env: NodeJS.ProcessEnv): WorkerConfig => parseEnv(schema, env)

export const environment = (): WorkerConfig => readConfig(process.env)
