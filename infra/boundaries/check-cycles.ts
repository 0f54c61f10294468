import { posix } from 'node:path'
import { findImports, type Import } from './find-imports.ts'
import { isProduct, type Source } from './read-house.ts'
import type { Violation } from './violation.ts'

/** No file may need itself to be loaded: reports one import of each cycle among product files. Imports of types alone do not count. */
export function checkCycles(sources: readonly Source[]): Violation[] {
  const edges = new Map<string, Import[]>()
  for (const source of sources.filter(({ path }) => isProduct(path) && path.endsWith('.ts')))
    edges.set(
      source.path,
      findImports(source).filter(({ specifier, kind }) => kind === 'value' && specifier.startsWith('.')),
    )

  const finished = new Set<string>()
  const violations: Violation[] = []
  const visit = (path: string, way: readonly string[]): void => {
    for (const edge of edges.get(path) ?? []) {
      const target = posix.join(posix.dirname(path), edge.specifier)
      const start = way.indexOf(target)
      if (start >= 0) {
        const round = [...way.slice(start), target].map((step) => posix.basename(step)).join(' -> ')
        violations.push({ path, line: edge.line, what: `closes a cycle: ${round}` })
      } else if (!finished.has(target)) visit(target, [...way, target])
    }
    finished.add(path)
  }
  for (const path of edges.keys()) if (!finished.has(path)) visit(path, [path])
  return violations
}
