import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ELSEWHERE = '/var/lib/muster'

/**
 * Where agents' folders live: in the home, unless agents cannot get there. Started by root they run as an account of their own, which
 * must be able to pass every folder on the way; a home below `/root` is out of its reach, so a folder of the system's is taken instead.
 */
export function agentsFolder(home: string): string {
  if (process.getuid?.() !== 0 || isPassable(dirname(home))) return home
  return join(ELSEWHERE, createHash('sha256').update(home).digest('hex').slice(0, 12))
}

function isPassable(folder: string): boolean {
  if ((statSync(folder).mode & 0o001) === 0) return false
  return folder === dirname(folder) || isPassable(dirname(folder))
}
