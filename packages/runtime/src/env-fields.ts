import { z } from 'zod'

/** A whole number within bounds, written in digits. */
export const envInteger = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`)

/** A TCP port; 0 asks for any free one. */
export const envPort = envInteger(0, 65_535)

export const envDatabaseUrl = z.url({
  protocol: /^postgres(ql)?$/,
  error: 'must be a URL like postgresql://user:password@host:5432/database',
})

export const envRedisUrl = z.url({ protocol: /^rediss?$/, error: 'must be a URL like redis://:password@host:6379' })

export const envLogLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])

/** A secret that a request can show in its `Authorization` header. */
const envToken = z
  .string()
  .min(16, 'must have at least 16 characters')
  .regex(/^[!-~]*$/, 'must consist of letters, digits and signs of ASCII, without white space')

/** What an administrator shows. */
export const envAdminToken = envToken

/** What a scrape of the metrics must show; absent, anyone who reaches the port may read them. */
export const envMetricsToken = envToken.nullable().default(null)

/** How far metrics tell tenants apart. */
export const envMetricsTenants = z.enum(['none', 'workspace', 'agent']).default('none')

/** Where spans go, as OTLP over HTTP; absent, there is no tracing. */
export const envOtlpEndpoint = z
  .url({ protocol: /^https?$/, error: 'must be a URL like http://collector:4318' })
  .nullable()
  .default(null)

export const POOL_NAMES = ['bubblewrap', 'runc', 'gvisor', 'none'] as const
export type PoolSlots = Readonly<Partial<Record<(typeof POOL_NAMES)[number], number>>>

/** How a worker divides its slots, such as `bubblewrap:4,none:2`. */
export const envPools = z.string().transform((text, context): PoolSlots => {
  const pools: Partial<Record<(typeof POOL_NAMES)[number], number>> = {}
  for (const part of text.split(',')) {
    const [name, slots, ...rest] = part.trim().split(':')
    const known = POOL_NAMES.find((pool) => pool === name)
    if (known === undefined || known in pools || !/^\d{1,6}$/.test(slots ?? '') || rest.length > 0)
      context.addIssue(`must look like bubblewrap:4,none:2 with each of ${POOL_NAMES.join(', ')} at most once`)
    else pools[known] = Number(slots)
  }
  return pools
})
