import type { Cell, Goal } from './report/cell.ts'
import { spreadOf } from './statistics.ts'
import type { System } from './system.ts'

/** How much is measured. */
export type Measure = {
  readonly rounds: number
  /** The full size, or that of a quick look. */
  size(sizes: { readonly full: number; readonly quick: number }): number
}

/** The figures of one round, by name. */
export type Figures<Name extends string> = Readonly<Record<Name, number>>

export type Contest<Name extends string> = {
  readonly muster: readonly Figures<Name>[]
  readonly baseline: readonly Figures<Name>[]
}

type Sides<Name extends string> = {
  readonly muster: () => Promise<System>
  readonly baseline: () => Promise<System>
  /** The same for both. */
  readonly round: (system: System) => Promise<Figures<Name>>
}

/** Measures both in turn, each on empty servers, and changes who is first from round to round. */
export async function measureBoth<Name extends string>(
  { rounds }: Measure,
  sides: Sides<Name>,
): Promise<Contest<Name>> {
  const figures = { muster: [] as Figures<Name>[], baseline: [] as Figures<Name>[] }
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (['baseline', 'muster'] as const) : (['muster', 'baseline'] as const)
    for (const side of order) {
      const system = await sides[side]()
      try {
        figures[side].push(await sides.round(system))
      } finally {
        await system.stop()
      }
    }
  }
  return figures
}

/** The cell of one figure of a contest. */
export function contestCell<Name extends string>(
  { muster, baseline }: Contest<Name>,
  figure: Name,
  cell: { readonly name: string; readonly unit: string; readonly goal?: (cell: Cell) => Goal },
): Cell {
  const ours = spreadOf(muster.map((round) => round[figure]))
  const theirs = spreadOf(baseline.map((round) => round[figure]))
  const made = { name: cell.name, unit: cell.unit, muster: ours, baseline: theirs, ratio: ours.median / theirs.median }
  return cell.goal === undefined ? made : { ...made, goal: cell.goal(made) }
}
