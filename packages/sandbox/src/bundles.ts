import { realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { blockedAt } from './blocked-path.ts'

/** `reason` is for whoever reads the run: it names the bundle and no path of the host. */
export type BundleOutcome =
  | { readonly kind: 'found'; readonly folder: string }
  | { readonly kind: 'absent'; readonly reason: string }

export type Bundles = {
  /** The host's folder of a bundle, by its path below the root. What leads out of the root, by whatever links, is absent. */
  find(path: string): Promise<BundleOutcome>
}

const OUTSIDE = /^\/|\0|(?:^|\/)\.{0,2}(?:\/|$)/

/** The folders of agents' programs that the operator keeps below one root; null: none. Agents only ever read them. */
export function createBundles(root: string | null): Bundles {
  async function find(path: string): Promise<BundleOutcome> {
    const name = `the bundle ${JSON.stringify(path)}`
    if (root === null) return absent(`${name} cannot be shown: this node has no bundles`)
    if (OUTSIDE.test(path)) return absent(`${name} is not named by a path below the folder of bundles`)
    try {
      const [base, folder] = await Promise.all([realpath(root), realpath(join(root, path))])
      if (!folder.startsWith(base.endsWith('/') ? base : `${base}/`))
        return absent(`${name} leads out of the folder of bundles`)
      if (!(await stat(folder)).isDirectory()) return absent(`${name} is not a folder`)
      if ((await blockedAt(folder)) !== null) return absent(`${name} lies where agents may not look`)
      return { kind: 'found', folder }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
      return absent(`${name} is not on this node (${code})`)
    }
  }

  return { find }
}

const absent = (reason: string): BundleOutcome => ({ kind: 'absent', reason })
