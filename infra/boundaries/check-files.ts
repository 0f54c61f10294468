import { basename } from 'node:path'
import { lineAt } from './find-imports.ts'
import { DRAWERS, LUA_LINES_MAX, MAY_READ_ENVIRONMENT, TOP_LEVEL_FOLDERS, TS_LINES_MAX } from './house.ts'
import { isProduct, roomOf, type Source } from './read-house.ts'
import type { Violation } from './violation.ts'

const KEBAB_CASE = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/
const ENVIRONMENT =
  /\bprocess\.env\b|\bprocess\[['"]env['"]\]|\bimport\s*\{[^}]*\benv\b[^}]*\}\s*from\s*['"]node:process['"]/g

/** Names, sizes and places of files, and who reads the environment. */
export function checkFiles(sources: readonly Source[]): Violation[] {
  return sources.flatMap((source) => [...topLevel(source), ...(roomOf(source.path) === null ? [] : inRooms(source))])
}

function topLevel({ path }: Source): Violation[] {
  const [first = '', ...rest] = path.split('/')
  const stray = rest.length > 0 && !first.startsWith('.') && !TOP_LEVEL_FOLDERS.has(first)
  return stray ? [{ path, line: 1, what: `${first} is not a folder of the top level` }] : []
}

function inRooms(source: Source): Violation[] {
  const { path, text } = source
  const violations: Violation[] = []
  const report = (line: number, what: string): void => void violations.push({ path, line, what })
  const parts = path.split('/')
  for (const part of parts) {
    if (part !== 'README.md' && !KEBAB_CASE.test(part)) report(1, `"${part}" is not in kebab-case`)
    if (DRAWERS.has(part.split('.')[0] ?? '')) report(1, `"${part}" is a drawer: name it after what it holds`)
  }
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  const most = path.endsWith('.lua')
    ? LUA_LINES_MAX
    : /\.(ts|mjs)$/.test(path)
      ? TS_LINES_MAX
      : Number.POSITIVE_INFINITY
  if (lines > most) report(most + 1, `${basename(path)} has ${lines} lines; the bound is ${most}`)
  if (isProduct(path) && path.endsWith('.ts') && !mayReadEnvironment(path))
    for (const match of text.matchAll(ENVIRONMENT))
      report(lineAt(text, match.index), 'reads the environment: only src/config.ts of an app may')
  return violations
}

function mayReadEnvironment(path: string): boolean {
  return /^apps\/[^/]+\/src\/config\.ts$/.test(path) || MAY_READ_ENVIRONMENT.includes(roomOf(path) ?? '')
}
