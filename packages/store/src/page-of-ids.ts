import { z } from 'zod'
import type { Database } from './database.ts'
import { ordinaryRead } from './ordinary-read.ts'
import type { Page, PageRequest } from './page.ts'
import { execute } from './statement.ts'
import { textArray } from './text-array.ts'

/** A page ends before it grows past this, though it has at least one item: no client can fill a gateway's memory by asking for many large ones. */
export const PAGE_BYTES_MAX = 8_388_608

/** JSON that is kept as it is has its size; what was compressed is read, since it may be a hundred times larger. */
export const jsonBytes = (column: string): string =>
  `coalesce(CASE WHEN pg_column_size(${column}) < 1000 THEN pg_column_size(${column}) ELSE octet_length(${column}::text) END, 0)`

const fitting = (table: string, sizes: readonly string[]) => ({
  name: `fitting_${table}`,
  text: `SELECT id FROM (
      SELECT id, sum(bytes) OVER (ORDER BY id DESC) - bytes AS before FROM (
        SELECT id, ${sizes.join(' + ')} AS bytes FROM ${table} WHERE id = ANY($1::text[])
      ) sized
    ) placed WHERE before < $2 ORDER BY id DESC`,
  row: z.object({ id: z.string() }),
})

/** What of a row can be large. */
const FITTING = {
  runs: fitting('runs', ['octet_length(message)', ...['attachments', 'metadata', 'output'].map(jsonBytes)]),
  tasks: fitting('tasks', ['metadata', 'output'].map(jsonBytes)),
  agents: fitting('agents', ['config', 'limits'].map(jsonBytes)),
}

type Reads<Row, Item> = {
  /** One more than the page's limit, newest first. */
  readonly ids: () => Promise<readonly { readonly id: string }[]>
  readonly rows: (ids: string[]) => Promise<readonly Row[]>
  readonly itemOf: (row: Row) => Item
}

/** Reads which ids a page could have, and then the rows of those that fit. */
export async function pageOfIds<Row extends { readonly id: string }, Item>(
  database: Database,
  table: keyof typeof FITTING,
  page: PageRequest,
  read: Reads<Row, Item>,
): Promise<Page<Item>> {
  const ids = (await ordinaryRead(read.ids)).map((row) => row.id)
  if (ids.length === 0) return { items: [], next: null }
  const looked = ids.slice(0, page.limit)
  const fit = await execute(database.pool, FITTING[table], [textArray(looked), PAGE_BYTES_MAX])
  const kept = fit.map((row) => row.id)
  const rows = await ordinaryRead(() => read.rows(kept))
  return {
    items: rows.toSorted(newestFirst).map(read.itemOf),
    // where all of them were removed meanwhile, what follows them
    next: ids.length > kept.length ? (kept.at(-1) ?? looked.at(-1) ?? null) : null,
  }
}

export const newestFirst = (one: { readonly id: string }, other: { readonly id: string }): number =>
  one.id < other.id ? 1 : -1
