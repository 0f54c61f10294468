import { randomBytes } from 'node:crypto'
import { redisCommand, startRedis } from '@muster/runtime'
import { inject } from 'vitest'
import { startTestServer, type TestServer } from './test-server.ts'

export type TestRedis = TestServer & {
  /** Sends one command, e.g. `FLUSHALL`, and answers the first line of the reply. */
  command(...words: string[]): Promise<string>
}

/** A Redis of this test's own, with the settings of production: for tests that flush, stop, kill or hold it. */
export async function createRedis(): Promise<TestRedis> {
  const server = await startTestServer(startRedis, {})
  return { ...server, command: (...words) => redisCommand(server.url, words) }
}

/** The Redis that all tests of a run share, and a fleet name that no other test uses. Never flush it. */
export function sharedRedis(): { readonly url: string; readonly fleet: string } {
  return { url: inject('redisUrl'), fleet: `t${randomBytes(6).toString('hex')}` }
}
