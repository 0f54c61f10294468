import { existsSync } from 'node:fs'
import { createBubblewrap, createNone, createOci, type Sandbox } from '../src/index.ts'

const RUNC = '/usr/sbin/runc'
/** Where it is not in one of the usual folders, the set-up says where. */
const given = process.env['MUSTER_BWRAP_PATH']
const bwrap = given === undefined ? {} : { bwrapPath: given }

/** Every adapter under the name that the tests know it by. */
const ADAPTERS: Readonly<Record<string, (cacheRoot: string) => Sandbox>> = {
  none: (cacheRoot) => createNone({ cacheRoot }),
  bubblewrap: (cacheRoot) => createBubblewrap({ cacheRoot, ...bwrap }),
  'bubblewrap without control groups': (cacheRoot) => createBubblewrap({ cacheRoot, cgroups: 'hidden', ...bwrap }),
  runc: (cacheRoot) => createOci({ runtime: 'runc', cacheRoot, runtimePath: RUNC }),
  'runc without control groups': (cacheRoot) =>
    createOci({ runtime: 'runc', cacheRoot, runtimePath: RUNC, cgroups: 'hidden' }),
}

export function adapter(name: string, cacheRoot: string): Sandbox {
  const make = ADAPTERS[name]
  if (make === undefined) throw new Error(`no adapter ${name}`)
  return make(cacheRoot)
}

/** Why this host cannot run an adapter's tests, or null. */
export function missingFor(name: string): string | null {
  if (!name.startsWith('runc')) return null
  if (process.getuid?.() !== 0) return 'an OCI runtime needs root'
  return existsSync(RUNC) ? null : `${RUNC} is not installed`
}
