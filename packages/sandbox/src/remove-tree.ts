import { execFile } from 'node:child_process'
import { rmdir } from 'node:fs/promises'
import { codeOf } from './cgroup/attempt-cgroup.ts'

/**
 * Deletes a folder that agents wrote, whatever they made of it: paths longer than the kernel takes, names that are no text,
 * folders that turn into links while they are looked into. The system's own `rm` goes by descriptors and follows nothing. What
 * is missing is deleted already; rejects when something stays.
 */
export async function removeTree(path: string): Promise<void> {
  const refused = await rmdir(path).then(() => null, codeOf)
  if (refused === null || refused === 'ENOENT') return
  await new Promise<void>((resolve, reject) => {
    execFile('/bin/rm', ['-rf', '--', path], { env: { LC_ALL: 'C' } }, (error, _stdout, stderr) => {
      if (error === null) resolve()
      else reject(new Error(stderr.split('\n', 1)[0] || error.message))
    })
  })
}
