import { startPostgres } from '@muster/runtime'
import { startTestServer, type TestServer } from './test-server.ts'

/** Without fsync a commit still survives the death of the server, though not that of the machine: right for tests, and much faster. */
export const TEST_POSTGRES_SETTINGS = { fsync: 'off', full_page_writes: 'off', max_connections: '400' }

/** A Postgres of this test's own, for tests that stop, kill or hold it; `createDatabase(server.url)` gives a migrated database on it. */
export function createPostgres(): Promise<TestServer> {
  return startTestServer(startPostgres, TEST_POSTGRES_SETTINGS)
}
