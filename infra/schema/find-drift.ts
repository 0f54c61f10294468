import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { PrismaPg } from '@prisma/adapter-pg'
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
  type SqlQuery,
  type SqlResultSet,
} from '@prisma/driver-adapter-utils'
import { __wbg_set_wasm, SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg'
import pg from 'pg'

let loading: Promise<void> | null = null

/** Prisma's own schema engine, in WebAssembly: nothing is downloaded and no other process is started. */
async function loadEngine(): Promise<void> {
  const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg')
  const entry = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm')
  const bytes = readFileSync(entry.replace('schema_engine.js', 'schema_engine_bg.wasm'))
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': glue })
  __wbg_set_wasm(instance.exports)
  const start = instance.exports['__wbindgen_start']
  if (typeof start === 'function') start()
}

/** Columns of the type "char", which the adapter cannot read: they are asked for as text and told as characters. */
const KINDS: ReadonlySet<string> = new Set(['constraint_type', 'confdeltype', 'confupdtype'])
/** The ends of sequences, which no Prisma schema tells, are too large a number for the engine. */
const LARGE = Number.MAX_SAFE_INTEGER

const readable = (adapter: SqlDriverAdapter): SqlDriverAdapter =>
  new Proxy(adapter, {
    get(target, name) {
      if (name === 'queryRaw') return (query: SqlQuery) => queryKinds(target, query)
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

async function queryKinds(adapter: SqlDriverAdapter, query: SqlQuery): Promise<SqlResultSet> {
  const sql = query.sql
    .replace('constr.contype AS', 'constr.contype::text AS')
    .replaceAll(/\bcon\.(confdeltype|confupdtype),/g, 'con.$1::text AS $1,')
  const found = await adapter.queryRaw({ ...query, sql })
  const columnTypes = found.columnTypes.map((type, column) =>
    KINDS.has(found.columnNames[column] ?? '') ? ColumnTypeEnum.Character : type,
  )
  const rows = found.rows.map((row) =>
    row.map((value, column) => (found.columnNames[column] === 'max_value' ? LARGE : value)),
  )
  return { ...found, columnTypes, rows }
}

function factoryOf(pool: pg.Pool): SqlMigrationAwareDriverAdapterFactory {
  const inner = new PrismaPg(pool)
  return {
    provider: inner.provider,
    adapterName: inner.adapterName,
    connect: async () => readable(await inner.connect()),
    connectToShadowDb: async () => readable(await inner.connectToShadowDb()),
  }
}

/** What would have to change in a database for it to be as a Prisma schema says, as SQL; null when nothing would. */
export async function findDrift(databaseUrl: string, schema: string): Promise<string | null> {
  loading ??= loadEngine()
  await loading
  const files = [{ path: 'schema.prisma', content: schema }]
  const pool = new pg.Pool({ connectionString: databaseUrl })
  try {
    const adapter = bindMigrationAwareSqlAdapterFactory(factoryOf(pool))
    const engine = await SchemaEngine.new({ datamodels: [['schema.prisma', schema]] }, () => undefined, adapter)
    const { stdout } = await engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: '.' },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: null,
      filters: { externalTables: [], externalEnums: [] },
    })
    const script = (stdout ?? '').trim()
    return script === '' || script === '-- This is an empty migration.' ? null : script
  } finally {
    await pool.end()
  }
}
