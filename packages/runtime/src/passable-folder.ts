import { chmodSync, mkdirSync, statSync } from 'node:fs'

/**
 * Makes a folder if it is missing, and lets others pass through it without listing it, whatever this process's umask takes away: embedded
 * servers and sandboxes run as other accounts.
 */
export function makePassableFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o711 })
  const { mode } = statSync(folder)
  if ((mode & 0o001) === 0) chmodSync(folder, (mode & 0o777) | 0o011)
}
