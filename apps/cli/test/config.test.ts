import { ConfigError } from '@muster/runtime'
import { expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { postgresSettings } from '../src/fleet/postgres-settings.ts'

test('without settings a fleet is two workers on loopback with embedded servers', () => {
  expect(readConfig({})).toMatchObject({ host: '127.0.0.1', port: 8080, workers: 2, databaseUrl: null, redisUrl: null })
  expect(readConfig({ MUSTER_SLOTS: '3' }).pools).toBe('bubblewrap:3')
})

test('every fault is named at once', () => {
  const read = () =>
    readConfig({ MUSTER_PORT: 'http', MUSTER_WORKERS: '-1', DATABASE_URL: 'mysql://x', MUSTER_POOLS: 'docker:1' })
  expect(read).toThrow(ConfigError)
  for (const name of ['MUSTER_PORT', 'MUSTER_WORKERS', 'DATABASE_URL', 'MUSTER_POOLS']) expect(read).toThrow(name)
})

test('the embedded Postgres has room for the connections of every worker', () => {
  for (const workers of [0, 2, 64])
    expect(Number(postgresSettings(workers)['max_connections'])).toBeGreaterThanOrEqual(100 + 7 * workers)
})
