import { AppError } from '@muster/core'

/**
 * The outcome of each item of a batch, in order. When the batch is refused as a whole for one item's sake, each is tried by itself, so
 * that one item's fault is nobody else's. An outage is everybody's: it is not tried again here.
 */
export async function settleBatch<Item, Result>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): Promise<readonly PromiseSettledResult<Result>[]> {
  const [whole] = await Promise.allSettled([run(items)])
  if (whole.status === 'fulfilled') return whole.value.map((value) => ({ status: 'fulfilled', value }))
  if (items.length === 1 || whole.reason instanceof AppError) return items.map(() => whole)
  const settled: PromiseSettledResult<Result>[] = []
  for (const item of items) settled.push(...(await settleBatch([item], run)))
  return settled
}

/** The value of a settled promise; throws what it was rejected with. */
export function settledValue<Result>(settled: PromiseSettledResult<Result>): Result {
  if (settled.status === 'rejected') throw settled.reason
  return settled.value
}
