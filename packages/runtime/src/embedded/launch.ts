import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { ServiceAccount } from './service-account.ts'

export type Launch = {
  readonly command: string
  readonly args: readonly string[]
  readonly identity: { readonly uid?: number; readonly gid?: number }
}

/**
 * How to start a program as an account. Where the account cannot reach one of the paths (a clone below /root), the program is
 * given the one capability that lets it through closed folders, and nothing else of root's power.
 */
export function launchAs(
  account: ServiceAccount | null,
  paths: readonly string[],
  command: string,
  args: readonly string[],
): Launch {
  if (account === null) return { command, args, identity: {} }
  const closed = paths.map((path) => closedAncestor(path)).find((folder) => folder !== null)
  if (closed === undefined) return { command, args, identity: account }
  const capability = passageCapability()
  if (capability === null)
    throw new Error(
      `the account that embedded servers run as cannot enter ${closed}: open that folder (chmod o+x), move Muster elsewhere, or run it as an ordinary user`,
    )
  const identity = [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups']
  const capabilities = [
    `--inh-caps=-all,+${capability}`,
    `--ambient-caps=-all,+${capability}`,
    `--bounding-set=-all,+${capability}`,
  ]
  return { command: 'setpriv', args: [...identity, ...capabilities, '--', command, ...args], identity: {} }
}

function closedAncestor(path: string): string | null {
  for (let folder = dirname(resolve(path)); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return folder
    if (folder === dirname(folder)) return null
  }
}

/** Reading through closed folders where this process may hand that on, else the wider override; null off Linux. */
function passageCapability(): 'dac_read_search' | 'dac_override' | null {
  if (process.platform !== 'linux') return null
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
  const bits = BigInt(`0x${bounding ?? '0'}`)
  if ((bits & 4n) !== 0n) return 'dac_read_search'
  return (bits & 2n) === 0n ? null : 'dac_override'
}
