import type { Spread } from '../statistics.ts'

/** What is to be reached, in words, and whether it was. */
export type Goal = { readonly text: string; readonly reached: boolean }

/** One figure of a run, with its baseline where it has one. */
export type Cell = {
  readonly name: string
  readonly unit: string
  readonly muster: Spread
  readonly baseline?: Spread
  /** Muster's median by the baseline's. */
  readonly ratio?: number
  readonly goal?: Goal
}
