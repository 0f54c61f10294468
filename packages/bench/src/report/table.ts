import type { Spread } from '../statistics.ts'
import type { Cell } from './cell.ts'

const HEAD = ['measure', 'unit', 'Muster (min–max)', 'baseline (min–max)', 'ratio', 'goal']

/** The cells as a table of plain text. */
export function formatTable(cells: readonly Cell[]): string {
  const rows = cells.map(({ name, unit, muster, baseline, ratio, goal }) => [
    name,
    unit,
    formatSpread(muster),
    baseline === undefined ? '' : formatSpread(baseline),
    ratio === undefined ? '' : `${ratio.toFixed(2)}x`,
    goal === undefined ? '' : `${goal.text}: ${goal.reached ? 'yes' : 'NO'}`,
  ])
  const widths = HEAD.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(HEAD), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n')
}

const formatSpread = ({ median, min, max }: Spread): string => `${figure(median)} (${figure(min)}–${figure(max)})`

/** Three digits that count. */
function figure(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toString()
  return Number(value.toPrecision(3)).toString()
}

/** The last line of a report: how many goals were reached, and which were not. */
export function formatGoals(cells: readonly Cell[]): string {
  const judged = cells.filter(({ goal }) => goal !== undefined)
  const missed = judged.filter(({ goal }) => goal?.reached === false)
  const count = `goals reached: ${judged.length - missed.length} of ${judged.length}`
  return missed.length === 0 ? count : `${count}; missed: ${missed.map(({ name }) => name).join('; ')}`
}
