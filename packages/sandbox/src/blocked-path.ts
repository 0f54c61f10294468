import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const OTHERS_PASS = 0o001

/**
 * The first folder, on the way to a path and that path included, which agents may not pass, or null. Only root needs to
 * ask: who runs agents as itself sees what they see.
 */
export async function blockedAt(path: string): Promise<string | null> {
  if (process.getuid?.() !== 0) return null
  const way: string[] = []
  for (let at = await realpath(path); at !== '/'; at = dirname(at)) way.unshift(at)
  for (const at of way) {
    const found = await stat(at)
    if (found.isDirectory() && (found.mode & OTHERS_PASS) === 0) return at
  }
  return null
}
