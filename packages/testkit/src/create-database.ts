import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { MIGRATIONS_FOLDER } from './repository.ts'
import { until } from './until.ts'

export type TestDatabase = {
  readonly url: string
  readonly name: string
  /** Runs one statement over a connection of its own, for looking and for staging faults. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>
  /** Drops it; fails when the test left connections open, naming what they last ran. */
  drop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A fresh, migrated database on the run's shared Postgres (or on a server given by its URL), cloned from a template in some 50 ms. */
export async function createDatabase(serverUrl: string = inject('postgresUrl')): Promise<TestDatabase> {
  const template = await ensureTemplate(serverUrl)
  const name = `test_${randomBytes(6).toString('hex')}`
  await withClient(serverUrl, (client) => client.query(`create database ${name} template ${template}`))
  const url = databaseUrl(serverUrl, name)
  const drop = async (): Promise<void> => {
    const leaks = await leakedConnections(serverUrl, name)
    await withClient(serverUrl, (client) => client.query(`drop database if exists ${name} with (force)`))
    if (leaks.length > 0) throw new Error(`the test left ${leaks.length} connection(s) open: ${leaks.join(' | ')}`)
  }
  return {
    url,
    name,
    query: (sql, values = []) => withClient(url, async (client) => (await client.query(sql, [...values])).rows),
    drop,
    [Symbol.asyncDispose]: drop,
  }
}

/** Applies the migrations once per server and state of the migrations folder, however many test files ask at once. */
async function ensureTemplate(serverUrl: string): Promise<string> {
  const name = `template_${migrationsHash()}`
  await withClient(serverUrl, async (client) => {
    await client.query('select pg_advisory_lock(4711)')
    const ready = await client.query('select from pg_database where datname = $1 and datistemplate', [name])
    if (ready.rowCount === 1) return
    await client.query(`drop database if exists ${name} with (force)`)
    await client.query(`create database ${name}`)
    // Loaded here, as most tests of Redis or of pure parts need no store.
    const { migrate } = await import('@muster/store')
    await migrate(databaseUrl(serverUrl, name), MIGRATIONS_FOLDER)
    await client.query(`alter database ${name} with is_template true allow_connections false`)
  })
  return name
}

function migrationsHash(): string {
  const hash = createHash('sha256')
  for (const path of readdirSync(MIGRATIONS_FOLDER, { recursive: true, encoding: 'utf8' }).sort())
    if (path.endsWith('.sql')) hash.update(path).update(readFileSync(join(MIGRATIONS_FOLDER, path)))
  return hash.digest('hex').slice(0, 16)
}

/** A pool that is being closed gets a moment; what stays is a leak. */
async function leakedConnections(serverUrl: string, name: string): Promise<string[]> {
  const open = (): Promise<string[]> =>
    withClient(serverUrl, async (client) => {
      const found = await client.query<{ what: string }>(
        `select coalesce(nullif(application_name, ''), 'unnamed') || ': ' || left(query, 80) as what from pg_stat_activity where datname = $1`,
        [name],
      )
      return found.rows.map((row) => row.what)
    })
  await until(async () => (await open()).length === 0, { deadlineMs: 1000 }).catch(() => undefined)
  return open()
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return url.href
}
