import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { redisCommand, startPostgres, startRedis } from '@muster/runtime'
import pg from 'pg'

/** Postgres and Redis with the settings of production (fsync on, append-only file each second), shared by Muster and the baseline. */
export type Servers = {
  readonly redisUrl: string
  /** A folder for logs and files, removed at the end. */
  readonly folder: string
  /** A new, empty database; answers its URL. */
  createDatabase(): Promise<string>
  flushRedis(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startServers(): Promise<Servers> {
  const folder = mkdtempSync(join(tmpdir(), 'muster-bench-'))
  chmodSync(folder, 0o711)
  const site = (name: string): string => {
    const path = join(folder, name)
    mkdirSync(path, { mode: 0o755 })
    return path
  }
  const [postgres, redis] = await Promise.all([
    startPostgres({ folder: site('postgres') }),
    startRedis({ folder: site('redis') }),
  ])
  return {
    redisUrl: redis.url,
    folder,
    async createDatabase() {
      const name = `bench_${randomBytes(6).toString('hex')}`
      await query(postgres.url, `CREATE DATABASE ${name}`)
      const url = new URL(postgres.url)
      url.pathname = `/${name}`
      return url.href
    },
    async flushRedis() {
      await redisCommand(redis.url, ['FLUSHALL'])
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([postgres.kill(), redis.kill()])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Runs one statement over a connection of its own. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(text, [...values])).rows
  } finally {
    await client.end()
  }
}
