import fc from 'fast-check'
import { expect, test } from 'vitest'
import { agentConfigSchema, fromAgentSchema, type JsonValue, jsonObjectSchema, jsonValueSchema } from '../src/index.ts'

const BAD = [Number.POSITIVE_INFINITY, Number.NaN, 'a\0', '\ud800', '\udc00x']

/** A value within as many objects and arrays as the path has names and indexes. */
const within = (path: readonly (string | number)[], leaf: JsonValue): JsonValue =>
  path.reduceRight<JsonValue>(
    (inner, place) =>
      typeof place === 'number' ? [...Array<number>(place).fill(0), inner] : Object.fromEntries([[place, inner]]),
    leaf,
  )

const path = fc.array(fc.oneof(fc.constantFrom('a', '__proto__', 'constructor', '', 'a/b'), fc.nat(3)), {
  maxLength: 32,
})

test('what cannot be kept is refused at its place, however deep it lies, and whatever the names above it are', () => {
  fc.assert(
    fc.property(path, fc.constantFrom(...BAD), (place, bad) => {
      const issues = jsonValueSchema.safeParse(within(place, bad)).error?.issues
      expect(issues?.map((issue) => issue.path)).toEqual([place])
    }),
  )
})

test('what can be kept is kept as it was sent, names such as __proto__ included', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const json = JSON.stringify({ value })
      const sent = JSON.parse(json)
      fc.pre(!/\\u0000|\\ud[89a-f]/i.test(json))
      expect(jsonObjectSchema.parse(sent)).toBe(sent)
      expect(JSON.stringify(sent)).toBe(json)
    }),
  )
  const proto = JSON.parse('{"__proto__":{"a":1},"constructor":2}')
  expect(Object.keys(jsonObjectSchema.parse(proto))).toEqual(['__proto__', 'constructor'])
})

test('32 levels are kept, and the 33rd is refused where it begins', () => {
  const levels = (count: number) => within(Array<string>(count).fill('a'), 1)
  expect(jsonObjectSchema.safeParse(levels(32)).success).toBe(true)
  expect(jsonObjectSchema.safeParse(levels(5000)).error?.issues.map((issue) => issue.path.length)).toEqual([33])
})

test('a name that cannot be kept is refused where it stands, and what it names at its own place', () => {
  const issues = jsonObjectSchema.safeParse({ a: { 'x\0': '\ud800' } }).error?.issues
  expect(issues?.map((issue) => issue.path)).toEqual([['a'], ['a', 'x\0']])
})

test('of many faults the first hundred are told, so that a body costs no more than it weighs', () => {
  const many = Array(1000).fill(Number.POSITIVE_INFINITY)
  const env = Object.fromEntries(many.map((_, index) => [`${index}`, 'x']))
  for (const parsed of [
    jsonObjectSchema.safeParse({ many }),
    jsonObjectSchema.safeParse(Object.fromEntries(many.map((bad, index) => [`${index}\0`, bad]))),
    fromAgentSchema.safeParse({ type: 'result', output: many }),
    agentConfigSchema.safeParse({ runner: 'process', command: ['x'], env }),
    agentConfigSchema.safeParse({ runner: 'process', command: ['x'], env: { ...env, ...many } }),
  ])
    expect(parsed.error?.issues).toHaveLength(100)
})

test('nothing is looked at once a hundred faults are found', () => {
  let looked = 0
  const value = () =>
    Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        looked += 1
        return Number.NaN
      },
    })
  for (const many of [
    Array.from({ length: 1000 }, value),
    Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [index, value()])),
  ]) {
    looked = 0
    expect(jsonValueSchema.safeParse({ many }).error?.issues).toHaveLength(100)
    expect(looked).toBe(100)
  }
})
