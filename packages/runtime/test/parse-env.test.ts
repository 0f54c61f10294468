import { ConfigError, envDatabaseUrl, envInteger, envMetricsToken, envPools, envPort, parseEnv } from '@muster/runtime'
import { expect, test } from 'vitest'
import { z } from 'zod'

const schema = z.object({
  DATABASE_URL: envDatabaseUrl,
  MUSTER_PORT: envPort.default(8080),
  MUSTER_SLOTS: envInteger(1, 100).optional(),
  MUSTER_POOLS: envPools.optional(),
})

test('defaults fill what is not set or set to nothing', () => {
  const config = parseEnv(schema, { DATABASE_URL: 'postgresql://a:b@c/d', MUSTER_PORT: '', OTHER: 'x' })
  expect(config).toEqual({ DATABASE_URL: 'postgresql://a:b@c/d', MUSTER_PORT: 8080 })
})

test('white space around a value is no part of it, and alone it is nothing', () => {
  const env = { DATABASE_URL: ' postgresql://a:b@c/d\n', MUSTER_PORT: '8081\r\n', MUSTER_SLOTS: ' ' }
  expect(parseEnv(schema, env)).toEqual({ DATABASE_URL: 'postgresql://a:b@c/d', MUSTER_PORT: 8081 })
})

test('a metrics token that no request could show is refused', () => {
  expect(envMetricsToken.safeParse('sixteen-characters').success).toBe(true)
  for (const token of ['sixteen characters', 'шестнадцать-букв'])
    expect(envMetricsToken.safeParse(token).success).toBe(false)
})

test('all faults are reported together, each by the name of its variable, without the values', () => {
  const env = { MUSTER_PORT: '70000', MUSTER_SLOTS: 's3cret', MUSTER_POOLS: 'bubblewrap:4,docker:1' }
  const read = () => parseEnv(schema, env)
  expect(read).toThrow(ConfigError)
  expect(read).toThrow(
    /DATABASE_URL: must be set\n.*MUSTER_PORT: .*0 to 65535\n.*MUSTER_SLOTS: .*\n.*MUSTER_POOLS: must look like/,
  )
  expect(read).not.toThrow(/s3cret/)
})

test('a worker’s slots are divided by name', () => {
  expect(envPools.parse('bubblewrap:4, none:2')).toEqual({ bubblewrap: 4, none: 2 })
  for (const fault of ['bubblewrap', 'none:1,none:2', 'none:-1', 'none:1:2', ''])
    expect(envPools.safeParse(fault).success).toBe(false)
})
