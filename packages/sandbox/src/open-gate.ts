import type { Writable } from 'node:stream'
import type { SandboxProcess, StartOutcome } from './sandbox.ts'

/** Lets a program that waits behind its gate begin if the owner, who was asked, still wants it to run, else kills its sandbox. */
export async function openGate(
  process: SandboxProcess,
  gate: Writable | null,
  confirmed: Promise<boolean> | undefined,
): Promise<StartOutcome> {
  let wanted = false
  try {
    wanted = (await confirmed) ?? true
  } finally {
    if (!wanted) {
      await process.kill()
      process.stdout.destroy()
      process.stderr.destroy()
    }
  }
  if (!wanted) return { kind: 'refused' }
  gate?.end('go\n')
  return { kind: 'started', process }
}
