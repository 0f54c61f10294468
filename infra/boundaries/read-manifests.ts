import type { Source } from './read-house.ts'

export type Manifest = {
  readonly path: string
  /** `packages/core`; empty for the root. */
  readonly room: string
  readonly name: string
  readonly dependencies: readonly string[]
  readonly developmentDependencies: readonly string[]
  readonly text: string
}

export function readManifests(sources: readonly Source[]): Manifest[] {
  return sources
    .filter(({ path }) => /^((apps|packages)\/[^/]+\/)?package\.json$/.test(path))
    .map(({ path, text }) => {
      const manifest: Record<string, unknown> = JSON.parse(text)
      const names = (field: string): string[] => Object.keys(manifest[field] ?? {})
      return {
        path,
        room: path.replace(/\/?package\.json$/, ''),
        name: String(manifest['name']),
        dependencies: [...names('dependencies'), ...names('optionalDependencies'), ...names('peerDependencies')],
        developmentDependencies: names('devDependencies'),
        text,
      }
    })
}
