import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { PrismaClient } from './generated/client.ts'

export type DatabaseOptions = {
  readonly url: string
  /** Connections at most. */
  readonly poolSize: number
  /** Told of errors on idle connections; the pool replaces them by itself. */
  readonly onError: (error: Error) => void
}

/** Files may be as large as a request: who wants them reads them by themselves. */
const OMITTED = { task: { attachments: true } } as const

/** One pool: the hot statements go over it as they are, ordinary reads and writes through Prisma. */
export type Database = {
  readonly pool: pg.Pool
  readonly prisma: PrismaClient<never, typeof OMITTED>
  close(): Promise<void>
}

const CONNECT_MS = 2000
/** No statement of ours takes a tenth of this; past it the server or the network hangs. */
const QUERY_MS = 8000
/** So much later than we do, Postgres gives up what it still does for us: nothing that nobody waits for keeps a lock or a place. */
const GRACE_MS = 2000

// int8 columns hold sequences and admissions, all below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

/** Opens a pool alone; connects when first used. `queryMs`: how long a statement may take. */
export function openPool(options: DatabaseOptions & { readonly queryMs?: number }): pg.Pool {
  const queryMs = options.queryMs ?? QUERY_MS
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolSize,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: queryMs,
    statement_timeout: queryMs + GRACE_MS,
    idle_in_transaction_session_timeout: queryMs + GRACE_MS,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
  })
  pool.on('error', options.onError)
  return pool
}

/** Opens a pool and Prisma over it; connects when first used. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = openPool(options)
  const adapter = new PrismaPg(pool, { disposeExternalPool: false })
  const prisma = new PrismaClient({ adapter, omit: OMITTED })
  return {
    pool,
    prisma,
    async close() {
      await prisma.$disconnect()
      await pool.end()
    },
  }
}
