import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { checkCycles } from './check-cycles.ts'
import { checkFiles } from './check-files.ts'
import { checkImports } from './check-imports.ts'
import { checkManifests } from './check-manifests.ts'
import { readHouse, type Source } from './read-house.ts'
import { readManifests } from './read-manifests.ts'
import { formatViolation } from './violation.ts'

const manifest = (room: string, dependencies: Record<string, string> = {}): Source => ({
  path: `${room}/package.json`,
  text: JSON.stringify({ name: `@muster/${room.split('/')[1]}`, dependencies }, null, 2),
})

function violationsOf(sources: readonly Source[]): string[] {
  const manifests = readManifests(sources)
  const found = [
    ...checkManifests(manifests),
    ...checkImports(sources, manifests),
    ...checkCycles(sources),
    ...checkFiles(sources),
  ]
  return found.map(formatViolation).sort()
}

const inStore = (text: string, path = 'packages/store/src/a.ts'): string[] => {
  const rooms = [
    'packages/store',
    'packages/gate',
    'packages/core',
    'packages/testkit',
    'apps/worker',
    'apps/gateway',
  ].map((room) => manifest(room))
  return violationsOf([...rooms, { path, text }])
}

test('the house keeps its rules', () => {
  expect(violationsOf(readHouse(fileURLToPath(new URL('../../', import.meta.url))))).toEqual([])
})

test.for([
  ["import { a } from '@muster/gate'", 'packages/store must not import packages/gate'],
  ["export * from '@muster/gate'", 'packages/store must not import packages/gate'],
  ["import {\n  type A,\n  b,\n} from '@muster/gate'", 'packages/store must not import packages/gate'],
  ["const a = await import('@muster/gate')", 'packages/store must not import packages/gate'],
  ["import type { A } from '@muster/testkit'", 'packages/store must not import packages/testkit'],
  [
    "import { a } from '@muster/core/src/a.ts'",
    'deep import @muster/core/src/a.ts: only @muster/core itself is public',
  ],
  ["import { a } from '../../core/src/a.ts'", 'reaches into packages/core: import a package by its name'],
  ["import { a } from '../test/a.ts'", 'product code imports packages/store/test/a.ts'],
  ["import { a } from './b'", './b lacks its ending'],
  ["import { Redis } from 'ioredis'", 'imports ioredis: only the gate speaks to Redis'],
  ["import { a } from 'left-pad'", 'left-pad is not in the package.json of packages/store'],
  ["import fs from 'fs'", 'write node:fs'],
  ['const home = process.env.HOME', 'reads the environment: only src/config.ts of an app may'],
] as const)('%s is found in store', ([text, what]) => {
  expect(inStore(text)).toEqual([`packages/store/src/a.ts:1 ${what}`])
})

test('what is allowed is not reported', () => {
  expect(
    inStore(
      "import { a } from '@muster/core'\nimport { readFile } from 'node:fs/promises'\nimport { b } from './b.ts'\n",
    ),
  ).toEqual([])
  expect(
    inStore(
      "import { until } from '@muster/testkit'\nimport { a } from '../src/a.ts'\n",
      'packages/store/test/a.test.ts',
    ),
  ).toEqual([])
  expect(inStore('export const env = process.env\n', 'apps/worker/src/config.ts')).toEqual([])
})

test('apps do not import each other, not even in tests', () => {
  expect(inStore("import { a } from '@muster/gateway'", 'apps/worker/src/a.ts')).toEqual([
    'apps/worker/src/a.ts:1 apps/worker must not import apps/gateway',
  ])
  expect(inStore("import { a } from '@muster/gateway'", 'apps/worker/test/a.ts')).toEqual([
    'apps/worker/test/a.ts:1 apps/worker must not import the app apps/gateway',
  ])
})

test('a manifest may not hold what the graph forbids, nor a loose version', () => {
  const sources = [
    manifest('packages/gate'),
    manifest('packages/store', { '@muster/gate': '0.1.0', pg: '^8.0.0' }),
    manifest('packages/misplaced'),
  ]
  expect(violationsOf(sources)).toEqual([
    'packages/misplaced/package.json:2 packages/misplaced has no place in the graph',
    'packages/store/package.json:4 packages/store must not depend on packages/gate',
    'packages/store/package.json:5 pg is not pinned to one version',
  ])
})

test('a cycle of files is reported once, and imports of types do not close one', () => {
  const file = (name: string, text: string): Source => ({ path: `packages/core/src/${name}.ts`, text })
  const round = [
    file('a', "import { b } from './b.ts'"),
    file('b', "import { c } from './c.ts'"),
    file('c', "import { a } from './a.ts'"),
  ]
  expect(violationsOf([manifest('packages/core'), ...round])).toEqual([
    'packages/core/src/c.ts:1 closes a cycle: a.ts -> b.ts -> c.ts -> a.ts',
  ])
  expect(
    violationsOf([
      manifest('packages/core'),
      file('a', "import { b } from './b.ts'"),
      file('b', "import type { A } from './a.ts'"),
    ]),
  ).toEqual([])
})

test('names, sizes and places of files are held', () => {
  const core = manifest('packages/core')
  const at = (path: string, text = ''): string[] => violationsOf([core, { path, text }])
  expect(at('packages/core/src/newId.ts')).toEqual(['packages/core/src/newId.ts:1 "newId.ts" is not in kebab-case'])
  expect(at('packages/core/src/utils/a.ts')).toEqual([
    'packages/core/src/utils/a.ts:1 "utils" is a drawer: name it after what it holds',
  ])
  expect(at('packages/core/src/types.ts')).toEqual([
    'packages/core/src/types.ts:1 "types.ts" is a drawer: name it after what it holds',
  ])
  expect(at('packages/core/src/a.ts', '\n'.repeat(401))).toEqual([
    'packages/core/src/a.ts:401 a.ts has 401 lines; the bound is 400',
  ])
  expect(at('packages/core/src/a.lua', '\n'.repeat(121))).toEqual([
    'packages/core/src/a.lua:121 a.lua has 121 lines; the bound is 120',
  ])
  expect(at('scripts/a.ts')).toEqual(['scripts/a.ts:1 scripts is not a folder of the top level'])
})
