import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import {
  envAdminToken,
  envDatabaseUrl,
  envInteger,
  envLogLevel,
  envPools,
  envPort,
  envRedisUrl,
  parseEnv,
} from '@muster/runtime'
import { z } from 'zod'

const schema = z.object({
  MUSTER_HOME: z.string().default('.muster'),
  MUSTER_HOST: z.string().default('127.0.0.1'),
  MUSTER_PORT: envPort.default(8080),
  MUSTER_WORKERS: envInteger(0, 64).default(2),
  MUSTER_SLOTS: envInteger(1, 10_000).default(2 * availableParallelism()),
  MUSTER_POOLS: z
    .string()
    .refine((text) => envPools.safeParse(text).success, 'must look like bubblewrap:4,none:2')
    .optional(),
  MUSTER_DRAIN_MAX_MS: envInteger(0, 86_400_000).default(30_000),
  MUSTER_ADMIN_TOKEN: envAdminToken.optional(),
  MUSTER_LOG_LEVEL: envLogLevel.default('info'),
  DATABASE_URL: envDatabaseUrl.optional(),
  REDIS_URL: envRedisUrl.optional(),
})

export type LogLevel = z.infer<typeof envLogLevel>

export type Config = {
  /** The folder that holds everything this fleet keeps on this machine. */
  readonly home: string
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  readonly workers: number
  /** Of each worker. */
  readonly slots: number
  /** How each worker divides its slots. */
  readonly pools: string
  readonly drainMaxMs: number
  readonly adminToken: string | null
  /** What is shown of the log, of every part. */
  readonly logLevel: LogLevel
  /** Null: embedded. */
  readonly databaseUrl: string | null
  readonly redisUrl: string | null
  /** What the gateway and the workers inherit, so that an operator's settings reach them. */
  readonly inherited: Readonly<Record<string, string | undefined>>
}

/** The command's configuration, from the environment; throws a ConfigError that names every fault. */
export function readConfig(env: Readonly<Record<string, string | undefined>> = process.env): Config {
  const given = parseEnv(schema, env)
  return {
    home: resolve(given.MUSTER_HOME),
    host: given.MUSTER_HOST,
    port: given.MUSTER_PORT,
    workers: given.MUSTER_WORKERS,
    slots: given.MUSTER_SLOTS,
    pools: given.MUSTER_POOLS ?? `bubblewrap:${given.MUSTER_SLOTS}`,
    drainMaxMs: given.MUSTER_DRAIN_MAX_MS,
    adminToken: given.MUSTER_ADMIN_TOKEN ?? null,
    logLevel: given.MUSTER_LOG_LEVEL,
    databaseUrl: given.DATABASE_URL ?? null,
    redisUrl: given.REDIS_URL ?? null,
    inherited: env,
  }
}
