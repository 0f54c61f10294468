import type { Source } from './read-house.ts'

export type Import = {
  readonly path: string
  readonly line: number
  readonly specifier: string
  /** Types alone vanish before anything runs. */
  readonly kind: 'value' | 'type'
}

const CLAUSE = String.raw`[\w$\s{},*]`
const PATTERNS = [
  new RegExp(String.raw`^import\s+(?<type>type\s)?${CLAUSE}+?\sfrom\s+['"](?<specifier>[^'"]+)['"]`, 'gm'),
  new RegExp(
    String.raw`^export\s+(?<type>type\s)?(?:\*(?:\s+as\s+\w+)?|\{${CLAUSE}*?\})\s+from\s+['"](?<specifier>[^'"]+)['"]`,
    'gm',
  ),
  /^import\s+['"](?<specifier>[^'"]+)['"]/gm,
  /\bimport\(\s*['"](?<specifier>[^'"]+)['"]\s*\)/g,
]

/** Every import and re-export of a file, with the line on which it begins. */
export function findImports({ path, text }: Source): Import[] {
  return PATTERNS.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      path,
      line: lineAt(text, match.index),
      specifier: match.groups?.['specifier'] ?? '',
      kind: match.groups?.['type'] === undefined ? ('value' as const) : ('type' as const),
    })),
  )
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}
