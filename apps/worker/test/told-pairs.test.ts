import { expect, test } from 'vitest'
import { ToldPairs } from '../src/beat/told-pairs.ts'

const open = () =>
  new ToldPairs<string>(
    (pair) => pair,
    () => undefined,
  )
const NOTHING = { began: [], ended: [] }

test('what begins is told once, and so is its end', () => {
  const pairs = open()
  pairs.begin('a')
  expect(pairs.takeChanges()).toEqual({ began: ['a'], ended: [] })
  pairs.begin('a')
  expect(pairs.takeChanges()).toEqual(NOTHING)
  pairs.end('a')
  pairs.end('a')
  expect(pairs.takeChanges()).toEqual({ began: [], ended: ['a'] })
  pairs.end('a')
  expect(pairs.takeChanges()).toEqual(NOTHING)
})

test('what comes and goes between two takings is not told', () => {
  const pairs = open()
  pairs.begin('a')
  pairs.end('a')
  expect(pairs.takeChanges()).toEqual(NOTHING)
})

test('what ends and begins again between two takings stays as it was told', () => {
  const pairs = open()
  pairs.begin('a')
  pairs.takeChanges()
  pairs.end('a')
  pairs.begin('a')
  expect(pairs.takeChanges()).toEqual(NOTHING)
  pairs.end('a')
  expect(pairs.takeChanges()).toEqual({ began: [], ended: ['a'] })
})
