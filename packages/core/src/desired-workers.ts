/** An average is rounded: without this, fifteen workers' work may come out as a hair more than fifteen. */
const ROUNDING = 1 - 2 ** -50

/**
 * How many workers a pool could use: as many as carry the runs in its slots and those that would start at once. A pool whose workers
 * were never seen asks for one, which tells how many slots it brings.
 */
export function desiredWorkers(runs: number, slotsPerWorker: number | null): number {
  if (runs <= 0) return 0
  return slotsPerWorker === null ? 1 : Math.ceil((runs / slotsPerWorker) * ROUNDING)
}
