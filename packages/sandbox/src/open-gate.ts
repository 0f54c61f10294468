import type { Writable } from 'node:stream'
import type { ConfirmStart, SandboxProcess, StartOutcome } from './sandbox.ts'

/** Lets a program that waits behind its gate begin if the owner still wants it to run, else kills its sandbox. */
export async function openGate(
  process: SandboxProcess,
  gate: Writable | null,
  confirm: ConfirmStart | undefined,
): Promise<StartOutcome> {
  let wanted = confirm === undefined
  try {
    wanted ||= (await confirm?.()) ?? false
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
