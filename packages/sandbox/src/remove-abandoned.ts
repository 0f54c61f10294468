import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { removeTree } from './remove-tree.ts'

/** Longer than any attempt may last. */
const ABANDONED_MS = 172_800_000

/** Deletes what workers that died left in a folder under names that begin so; what cannot be deleted now is tried the next time. */
export async function removeAbandoned(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.startsWith(prefix)) continue
    const found = await stat(join(folder, name)).catch(() => null)
    if (found === null || Date.now() - found.ctimeMs < ABANDONED_MS) continue
    await removeTree(join(folder, name)).catch(() => undefined)
  }
}
