import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { readArguments } from '../src/read-arguments.ts'

const KNOWN = ['accept', 'drain', 'gate']
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

test('without options everything is measured three times', () => {
  expect(readArguments([], KNOWN)).toEqual({ kind: 'measure', size: 'full', rounds: 3, names: KNOWN })
})

test('a quick look is one round unless told', () => {
  expect(readArguments(['--quick'], KNOWN)).toEqual({ kind: 'measure', size: 'quick', rounds: 1, names: KNOWN })
  expect(readArguments(['--quick', '--rounds', '2'], KNOWN)).toMatchObject({ size: 'quick', rounds: 2 })
})

test('some are measured in the usual order, however they are named', () => {
  expect(readArguments(['--only', 'gate,accept'], KNOWN)).toMatchObject({ names: ['accept', 'gate'] })
  expect(readArguments(['--only=gate', '--only', 'drain'], KNOWN)).toMatchObject({ names: ['drain', 'gate'] })
})

test.for([
  [['--only', 'gates'], "--only knows no 'gates': use accept, drain, gate"],
  [['--only', 'gate,'], "--only knows no '': use accept, drain, gate"],
  [['--only', '__proto__'], "--only knows no '__proto__': use accept, drain, gate"],
  [['--rounds', '0'], "--rounds takes a whole number from 1 to 100, not '0'"],
  [['--rounds', '101'], "--rounds takes a whole number from 1 to 100, not '101'"],
  [['--rounds', '1e2'], "--rounds takes a whole number from 1 to 100, not '1e2'"],
  [['--rounds', ''], "--rounds takes a whole number from 1 to 100, not ''"],
  [['--fast'], "Unknown option '--fast'"],
  [['drain'], "Unexpected argument 'drain'"],
  [['--only'], "Option '--only <value>' argument missing"],
] as const)('%s is refused with its reason', ([argv, reason]) => {
  const asked = readArguments(argv, KNOWN)
  expect(asked).toEqual({ kind: 'refused', reason: expect.stringContaining(reason) })
})

test('a refusal is one line, and nothing is measured', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, '--only', 'gates'], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toMatch(/^muster bench: --only knows no 'gates': use accept, .*streams\n$/)
})
