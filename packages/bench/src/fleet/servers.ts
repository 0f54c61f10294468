import { randomBytes } from 'node:crypto'
import { redisCommand, startPostgres, startRedis } from '@muster/runtime'
import pg from 'pg'
import { openScratch } from './scratch.ts'

/** Postgres and Redis with the settings of production (fsync on, append-only file each second), shared by Muster and the baseline. */
export type Servers = {
  readonly redisUrl: string
  /** A folder for logs and files, removed at the end together with every process that is recorded in it. */
  readonly folder: string
  /** A new folder below it that every account can read. */
  site(name: string): string
  /** A new, empty database; answers its URL. */
  createDatabase(): Promise<string>
  flushRedis(): Promise<void>
  versions(): Promise<{ readonly postgres: string; readonly redis: string }>
  [Symbol.asyncDispose](): Promise<void>
}

const FLUSH_MS = 30_000

export async function startServers(): Promise<Servers> {
  const scratch = openScratch()
  try {
    const [postgres, redis] = await Promise.all([
      startPostgres({ folder: scratch.site('postgres') }),
      startRedis({ folder: scratch.site('redis') }),
    ])
    return {
      ...scratch,
      redisUrl: redis.url,
      async createDatabase() {
        const name = `bench_${randomBytes(6).toString('hex')}`
        await query(postgres.url, `CREATE DATABASE ${name}`)
        const url = new URL(postgres.url)
        url.pathname = `/${name}`
        return url.href
      },
      async flushRedis() {
        await redisCommand(redis.url, ['FLUSHALL'], FLUSH_MS)
      },
      async versions() {
        const [row] = await query<{ server_version: string }>(postgres.url, 'SHOW server_version')
        // The first line of a text reply is its length, so that the version is asked for as a status.
        const reply = await redisCommand(redis.url, [
          'EVAL',
          `return redis.status_reply(string.match(redis.call('INFO', 'server'), '%w+_version:([%d.]+)'))`,
          '0',
        ])
        return { postgres: row?.server_version ?? 'unknown', redis: reply.replace(/^\+/, '') }
      },
    }
  } catch (error) {
    await scratch[Symbol.asyncDispose]()
    throw error
  }
}

/** Runs one statement over a connection of its own. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  // A server that goes away is told by the statement too.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Row>(text, [...values])).rows
  } finally {
    await client.end()
  }
}
