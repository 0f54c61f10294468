/** The middle, the least and the most of a measure over the rounds of a run. */
export type Spread = { readonly median: number; readonly min: number; readonly max: number }

/** Throws when there is nothing to sum up. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), min: quantile(values, 0), max: quantile(values, 1) }
}

/** The value below which the share `q` of all lies, by linear interpolation. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  const place = (sorted.length - 1) * q
  const low = sorted[Math.floor(place)]
  const high = sorted[Math.ceil(place)]
  if (low === undefined || high === undefined) throw new Error('there is nothing to sum up')
  return low + (high - low) * (place - Math.floor(place))
}

/** Jain, Chiu and Hawe's index of fairness (DEC-TR-301, 1984): 1 when all have the same, 1/n when one has everything. */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0)
  const squares = shares.reduce((total, share) => total + share * share, 0)
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares)
}
