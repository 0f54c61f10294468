import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A file of the repository; `path` is relative to its root. */
export type Source = { readonly path: string; readonly text: string }

/** Every text file that is, or is about to be, part of the repository. */
export function readHouse(root: string): Source[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  return listed
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

/** `packages/core` of `packages/core/src/x.ts`; null for what lies outside apps and packages. */
export function roomOf(path: string): string | null {
  return /^(?:apps|packages)\/[^/]+(?=\/)/.exec(path)?.[0] ?? null
}

/** Whether a file is part of a product, not of its tests. */
export function isProduct(path: string): boolean {
  return /^(?:apps|packages)\/[^/]+\/src\//.test(path)
}
