import { openSync, readdirSync, readFileSync } from 'node:fs'

const CLOSE_ON_EXEC = 0o2000000
const HIGHEST = 4096

export type Descriptor = 'pipe' | 'ignore' | number

let shields: { readonly nothing: number; readonly inherited: readonly number[] } | null = null

/** The descriptors of a child: those wanted, and over each that it would inherit from our own parent one of /dev/null. */
export function shieldedDescriptors(wanted: readonly Descriptor[]): Descriptor[] {
  shields ??= { inherited: inheritedDescriptors(), nothing: openSync('/dev/null', 'r+') }
  const descriptors = [...wanted]
  for (const fd of shields.inherited) {
    while (descriptors.length < fd) descriptors.push('ignore')
    if (fd >= wanted.length) descriptors[fd] = shields.nothing
  }
  return descriptors
}

/**
 * The descriptors beyond stdio that this process was itself started with and would hand on to every child. Node marks
 * whatever it opens as closed on exec; what a launcher left open it does not know of, and a sandbox must not get it.
 */
function inheritedDescriptors(): readonly number[] {
  const inherited: number[] = []
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name)
    if (fd <= 2 || fd > HIGHEST) continue
    let info: string
    try {
      info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
    } catch {
      continue
    }
    const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8)
    if ((flags & CLOSE_ON_EXEC) === 0) inherited.push(fd)
  }
  return inherited
}
