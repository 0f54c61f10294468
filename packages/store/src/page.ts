/** Which part of a list is wanted: at most `limit` items below the key `before` (null: from the newest). */
export type PageRequest = { readonly limit: number; readonly before: string | null }

/** Items from the newest to the oldest; `next` is the `before` of the following page, null when there is none. */
export type Page<Item> = { readonly items: readonly Item[]; readonly next: string | null }

/** Cuts a page out of rows that were read with a limit one above the page's. */
export function pageFrom<Row, Item>(
  rows: readonly Row[],
  { limit }: PageRequest,
  keyOf: (row: Row) => string,
  itemOf: (row: Row) => Item,
): Page<Item> {
  const kept = rows.slice(0, limit)
  const last = kept.at(-1)
  return { items: kept.map(itemOf), next: rows.length > limit && last !== undefined ? keyOf(last) : null }
}
