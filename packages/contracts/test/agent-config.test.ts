import { describe, expect, test } from 'vitest'
import { type AgentConfig, agentConfigSchema } from '../src/index.ts'

const placesOf = (config: Partial<AgentConfig>): readonly PropertyKey[][] =>
  agentConfigSchema
    .safeParse({ runner: 'process', command: ['x'], ...config })
    .error?.issues.map((issue) => issue.path) ?? []

describe('the files of an agent', () => {
  test.for([
    'a',
    'a/b/c',
    '...',
    'a b',
    '__proto__',
    'constructor/x',
    'x'.repeat(255),
    'ä'.repeat(127),
    `${'ä'.repeat(127)}/${'ä'.repeat(127)}`,
  ])('may lie where a file can lie below a folder: %s', (path) => {
    expect(placesOf({ files: JSON.parse(`{${JSON.stringify(path)}:""}`) })).toEqual([])
  })

  test.for([
    ['', 'empty'],
    ['/a', 'absolute'],
    ['a/', 'a folder'],
    ['a//b', 'with an empty part'],
    ['a/./b', 'with a part that means the folder itself'],
    ['../a', 'that leads out'],
    ['x'.repeat(256), 'longer than may be'],
    [`a/${'ä'.repeat(128)}`, 'with a part of more bytes than a file system takes'],
    ['a\0', 'with NUL'],
    ['\ud800', 'of broken UTF-16'],
  ] as const)('are refused at a path that is %s', ([path]) => {
    expect(placesOf({ files: { fine: '', [path]: '' } })).toEqual([['files', path]])
  })

  test('a thousand names of an environment are taken, one more is refused', () => {
    const config = (count: number) => ({
      runner: 'process',
      command: ['true'],
      env: Object.fromEntries(Array.from({ length: count }, (_, k) => [`NAME_${k}`, 'v'])),
    })
    expect(agentConfigSchema.safeParse(config(1000)).success).toBe(true)
    expect(agentConfigSchema.safeParse(config(1001)).error?.issues.map(({ path }) => path)).toEqual([['env']])
  })

  test('are refused where one lies below another, at any depth and in whatever order they are given', () => {
    expect(placesOf({ files: { 'a/b': '', 'a/b/c/d': '', 'a/bc': '', 'a.b/c': '' } })).toEqual([['files', 'a/b/c/d']])
    expect(placesOf({ files: { 'a/b/c': '', a: '' } })).toEqual([['files', 'a/b/c']])
  })
})

test('an argument of an agent is no longer than Linux takes, in bytes', () => {
  for (const argument of ['x'.repeat(32_768), 'ä'.repeat(32_768), '😀'.repeat(32_767)])
    expect(placesOf({ command: ['x', argument] })).toEqual([])
  for (const argument of ['x'.repeat(32_769), '😀'.repeat(32_768)])
    expect(placesOf({ command: ['x', argument] })).toEqual([['command', 1]])
})
