import { lineAt } from './find-imports.ts'
import { CONTRACTS_MAY_IMPORT, MAY_IMPORT } from './house.ts'
import type { Manifest } from './read-manifests.ts'
import type { Violation } from './violation.ts'

/** Holds every manifest against the graph: its edges, exact versions, and one door per package. */
export function checkManifests(manifests: readonly Manifest[]): Violation[] {
  const rooms = new Map(manifests.map((manifest) => [manifest.name, manifest.room]))
  return manifests.flatMap((manifest) => {
    const at = (name: string, what: string): Violation => {
      return { path: manifest.path, line: lineAt(manifest.text, Math.max(0, manifest.text.indexOf(`"${name}"`))), what }
    }
    const unknown =
      manifest.room !== '' && !(manifest.room in MAY_IMPORT)
        ? [at('name', `${manifest.room} has no place in the graph`)]
        : []
    const edges = manifest.dependencies.flatMap((name) => {
      const target = rooms.get(name)
      if (target !== undefined)
        return (MAY_IMPORT[manifest.room] ?? []).includes(target)
          ? []
          : [at(name, `${manifest.room} must not depend on ${target}`)]
      if (manifest.room === 'packages/contracts' && !CONTRACTS_MAY_IMPORT.includes(name))
        return [at(name, `contracts depends on ${name}`)]
      return []
    })
    return [...unknown, ...edges, ...looseVersions(manifest)]
  })
}

function looseVersions(manifest: Manifest): Violation[] {
  return manifest.text.split('\n').flatMap((line, index) => {
    const loose = /"([^"]+)":\s*"([\^~><*][^"]*)"/.exec(line)
    if (loose === null || loose[1] === 'node') return []
    return [{ path: manifest.path, line: index + 1, what: `${loose[1]} is not pinned to one version` }]
  })
}
