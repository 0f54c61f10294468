import { type ExecFileException, execFile } from 'node:child_process'
import { rmdir } from 'node:fs/promises'
import { codeOf } from './error-code.ts'

/** A line for each of the files that stay. */
const COMPLAINTS_BYTES = 64 * 1024 * 1024

/**
 * Deletes a folder that agents wrote, whatever they made of it: paths longer than the kernel takes, names that are no text,
 * folders that turn into links while they are looked into or that are closed to everybody. The system's own `rm` goes by descriptors
 * and follows nothing. What is missing is deleted already; rejects when something stays.
 */
export async function removeTree(path: string): Promise<void> {
  const refused = await rmdir(path).then(() => null, codeOf)
  if (refused === null || refused === 'ENOENT') return
  if ((await complaintOf('/bin/rm', ['-rf', '--', path])) === null) return
  // Root passes every folder; another worker is its agents' user, and must open what they closed.
  if (process.getuid?.() !== 0) await complaintOf('/bin/chmod', ['-Rf', 'u+rwX', '--', path])
  const complaint = await complaintOf('/bin/rm', ['-rf', '--', path])
  if (complaint !== null) throw new Error(complaint)
}

function complaintOf(program: string, words: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const end = (error: ExecFileException | null, _stdout: string, stderr: string) =>
      resolve(error === null ? null : stderr.split('\n', 1)[0] || error.message)
    execFile(program, words, { env: { LC_ALL: 'C' }, maxBuffer: COMPLAINTS_BYTES }, end)
  })
}
