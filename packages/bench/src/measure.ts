import type { Servers } from './fleet/servers.ts'
import type { Cell, Goal } from './report/cell.ts'
import { spreadOf } from './statistics.ts'
import type { System } from './system.ts'

/** How much is measured: all of it, enough for a quick look, or just enough to see that everything works. */
export type MeasureSize = 'full' | 'quick' | 'trial'

export type Sizes = {
  readonly full: number
  readonly quick: number
  /** By default a fiftieth of `quick`. */
  readonly trial?: number
}

export type Measure = {
  readonly rounds: number
  size(sizes: Sizes): number
}

export function measureOf(size: MeasureSize, rounds: number): Measure {
  return { rounds, size: ({ full, quick, trial = Math.ceil(quick / 50) }) => ({ full, quick, trial })[size] }
}

/** Measures something on servers of its own, or says why that cannot be done here. */
export type Benchmark = (servers: Servers, measure: Measure) => Promise<readonly Cell[] | Skipped>

export type Skipped = { readonly skipped: string }

/** The figures of one round, by name. */
export type Figures<Name extends string> = Readonly<Record<Name, number>>

export type Contest<Name extends string> = {
  readonly muster: readonly Figures<Name>[]
  readonly baseline: readonly Figures<Name>[]
}

type ContestCell = Cell & Required<Pick<Cell, 'baseline' | 'ratio'>>

/** What a cell is called, and how it is judged once its figures are known. */
type CellText<Made extends Cell> = {
  readonly name: string
  readonly unit: string
  readonly goal?: (cell: Made) => Goal
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

/** The cell of one figure of Muster alone. */
export function soloCell<Name extends string>(
  rounds: readonly Figures<Name>[],
  figure: Name,
  cell: CellText<Cell>,
): Cell {
  return withGoal({ name: cell.name, unit: cell.unit, muster: spreadOf(rounds.map((round) => round[figure])) }, cell)
}

/** The cell of one figure of a contest. */
export function contestCell<Name extends string>(
  { muster, baseline }: Contest<Name>,
  figure: Name,
  cell: CellText<ContestCell>,
): Cell {
  const ours = spreadOf(muster.map((round) => round[figure]))
  const theirs = spreadOf(baseline.map((round) => round[figure]))
  const { name, unit } = cell
  return withGoal({ name, unit, muster: ours, baseline: theirs, ratio: ours.median / theirs.median }, cell)
}

function withGoal<Made extends Cell>(made: Made, { goal }: CellText<Made>): Cell {
  return goal === undefined ? made : { ...made, goal: goal(made) }
}
