import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { contestCell, measureOf, soloCell } from '../src/measure.ts'
import { formatMachine } from '../src/report/machine.ts'
import { resultsOf, resultsSchema, writeResults } from '../src/report/results.ts'
import { formatGoals, formatTable } from '../src/report/table.ts'

const LATEST = fileURLToPath(new URL('../results/latest.json', import.meta.url))

const contest = {
  muster: [{ rate: 300 }, { rate: 100 }, { rate: 200 }],
  baseline: [{ rate: 90 }, { rate: 100 }, { rate: 110 }],
}
const reached = contestCell(contest, 'rate', {
  name: 'accept',
  unit: 'commands/s',
  goal: ({ ratio }) => ({ text: '>= 1.5x', reached: ratio >= 1.5 }),
})
const missed = soloCell([{ s: 6.25 }], 's', {
  name: 'recovery',
  unit: 's',
  goal: ({ muster }) => ({ text: 'max <= 5 s', reached: muster.max <= 5 }),
})
const plain = soloCell([{ s: 0.0123456 }], 's', { name: 'without a goal', unit: 's' })

test('a cell has the spread of both sides, the ratio of their medians, and a verdict', () => {
  expect(reached).toEqual({
    name: 'accept',
    unit: 'commands/s',
    muster: { median: 200, min: 100, max: 300 },
    baseline: { median: 100, min: 90, max: 110 },
    ratio: 2,
    goal: { text: '>= 1.5x', reached: true },
  })
  expect(plain).toEqual({
    name: 'without a goal',
    unit: 's',
    muster: { median: 0.0123456, min: 0.0123456, max: 0.0123456 },
  })
})

test('the table has a line for each cell, in columns', () => {
  expect(formatTable([reached, missed, plain])).toBe(
    [
      'measure         unit        Muster (min–max)        baseline (min–max)  ratio  goal',
      '--------------  ----------  ----------------------  ------------------  -----  --------------',
      'accept          commands/s  200 (100–300)           100 (90–110)        2.00x  >= 1.5x: yes',
      'recovery        s           6.25 (6.25–6.25)                                   max <= 5 s: NO',
      'without a goal  s           0.0123 (0.0123–0.0123)',
    ].join('\n'),
  )
})

test('the last line counts the goals and names those that were missed', () => {
  expect(formatGoals([reached, missed, plain])).toBe('goals reached: 1 of 2; missed: recovery')
  expect(formatGoals([reached])).toBe('goals reached: 1 of 1')
})

test('the head names the machine, and warns when others used it', () => {
  const machine = {
    cpus: 2,
    cpuModel: 'a model',
    memoryGib: 8,
    node: '24.1.0',
    postgres: '18.1',
    redis: '7.0.15',
    load: 0.1,
  }
  const quiet = formatMachine(machine)
  for (const text of ['2 x a model', 'Node 24.1.0', 'Postgres 18.1', 'Redis 7.0.15', '0.10'])
    expect(quiet).toContain(text)
  expect(quiet).not.toContain('WARNING')
  expect(formatMachine({ ...machine, load: 1.7 })).toContain('WARNING: the machine was busy')
})

test('results are written whole, in the shape that other programs read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'muster-results-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'results', 'latest.json')
  writeResults(path, resultsOf([missed], 'quick'))
  writeResults(path, resultsOf([reached, plain], 'full'))
  const written: unknown = JSON.parse(readFileSync(path, 'utf8'))
  expect(resultsSchema.parse(written)).toEqual({
    measured_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    cells: [
      { ...reached, size: 'full' },
      { ...plain, size: 'full' },
    ],
  })
})

test('figures that are not numbers are not written', () => {
  expect(() => resultsOf([soloCell([{ s: Number.NaN }], 's', { name: 'x', unit: 's' })], 'full')).toThrow()
})

test('a size is the one that was asked for', () => {
  const sizes = { full: 1000, quick: 120 }
  expect(measureOf('full', 3).size(sizes)).toBe(1000)
  expect(measureOf('quick', 1).size(sizes)).toBe(120)
  expect(measureOf('trial', 1).size(sizes)).toBe(3)
  expect(measureOf('trial', 1).size({ ...sizes, trial: 7 })).toBe(7)
})

test.skipIf(!existsSync(LATEST))(
  'the results of this folder have that shape (skipped where nothing was measured yet)',
  () => {
    expect(resultsSchema.safeParse(JSON.parse(readFileSync(LATEST, 'utf8'))).error).toBeUndefined()
  },
)
