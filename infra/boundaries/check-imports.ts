import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import { findImports, type Import } from './find-imports.ts'
import { CONTRACTS_MAY_IMPORT, MAY_IMPORT, RESERVED } from './house.ts'
import { isProduct, roomOf, type Source } from './read-house.ts'
import type { Manifest } from './read-manifests.ts'
import type { Violation } from './violation.ts'

/** Holds every import against the graph of the house and the manifest of its room. */
export function checkImports(sources: readonly Source[], manifests: readonly Manifest[]): Violation[] {
  const rooms = new Map(manifests.map((manifest) => [manifest.name, manifest.room]))
  return sources
    .filter(({ path }) => /\.(ts|mjs)$/.test(path) && roomOf(path) !== null)
    .flatMap(findImports)
    .flatMap((found) => {
      const what = found.specifier.startsWith('.') ? relativeFault(found) : bareFault(found, rooms, manifests)
      return what === null ? [] : [{ path: found.path, line: found.line, what }]
    })
}

function relativeFault({ path, specifier }: Import): string | null {
  const target = posix.join(posix.dirname(path), specifier)
  if (roomOf(target) !== roomOf(path)) return `reaches into ${roomOf(target) ?? target}: import a package by its name`
  if (isProduct(path) && !isProduct(target)) return `product code imports ${target}`
  return /\.(ts|json|mjs)$/.test(specifier) ? null : `${specifier} lacks its ending`
}

function bareFault(
  { path, specifier }: Import,
  rooms: ReadonlyMap<string, string>,
  manifests: readonly Manifest[],
): string | null {
  if (specifier.startsWith('node:')) return null
  if (builtinModules.includes(specifier)) return `write node:${specifier}`
  const room = roomOf(path) ?? ''
  const name = packageOf(specifier)
  const target = rooms.get(name)
  if (target !== undefined) {
    if (specifier !== name) return `deep import ${specifier}: only ${name} itself is public`
    return target === room ? null : edgeFault(path, room, target)
  }
  if (room === 'packages/contracts' && isProduct(path) && !CONTRACTS_MAY_IMPORT.includes(name))
    return `contracts imports ${name}`
  const reserved = RESERVED.find(({ modules, rooms: allowed }) => modules.test(name) && !allowed.includes(room))
  if (reserved !== undefined && isProduct(path)) return `imports ${name}: ${reserved.why}`
  return isDeclared(name, room, path, manifests) ? null : `${name} is not in the package.json of ${room}`
}

function edgeFault(path: string, room: string, target: string): string | null {
  if (isProduct(path)) return (MAY_IMPORT[room] ?? []).includes(target) ? null : `${room} must not import ${target}`
  return target.startsWith('apps/') ? `${room} must not import the app ${target}` : null
}

/** Tests may also use what the root declares for development, and what the packages that they test with declare. */
function isDeclared(name: string, room: string, path: string, manifests: readonly Manifest[]): boolean {
  const declaring = manifests.filter(
    (manifest) => manifest.room === room || (!isProduct(path) && ['', 'packages/testkit'].includes(manifest.room)),
  )
  return declaring.some(({ dependencies, developmentDependencies }) => {
    return dependencies.includes(name) || (!isProduct(path) && developmentDependencies.includes(name))
  })
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/')
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}
