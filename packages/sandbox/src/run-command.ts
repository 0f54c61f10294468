import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const PATIENCE_MS = 10_000
const run = promisify(execFile)

/** Runs a short command and answers what it said; rejects when it fails, or does not end and so is killed. */
export async function runCommand(program: string, words: readonly string[]): Promise<{ readonly stdout: string }> {
  return await run(program, words, { timeout: PATIENCE_MS, killSignal: 'SIGKILL' })
}
