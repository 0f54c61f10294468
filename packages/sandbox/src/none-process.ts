import type { AttemptLimits } from '@muster/contracts'
import { killGroup } from './kill-group.ts'
import { openGate } from './open-gate.ts'
import type { ConfirmStart, SandboxExit, StartOutcome } from './sandbox.ts'
import type { SandboxGroup } from './sandbox-group.ts'
import type { Child } from './spawn-child.ts'
import { createStdinWriter } from './stdin-writer.ts'

export type NoneChild = {
  readonly child: Child
  readonly group: SandboxGroup
  readonly limits: AttemptLimits
  readonly confirm: ConfirmStart | undefined
  /** Called once nothing of the group is left. */
  readonly discard: () => Promise<unknown>
}

/** The life of one process group. Whatever its first process leaves behind is killed, as the end of a namespace would. */
export async function noneProcess(spec: NoneChild): Promise<StartOutcome> {
  const { child, group } = spec
  const [gate] = child.extra

  function killProcessGroup(): void {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Nobody is left in it.
    }
  }

  let led = true

  async function untilEmpty(): Promise<SandboxExit> {
    const { code, signal } = await child.exit
    killProcessGroup()
    // From here on the number may be somebody else's.
    led = false
    const selector = { runId: group.runId, generation: group.generation }
    await killGroup(selector, { timeoutMs: Number.POSITIVE_INFINITY })
    await spec.discard()
    return { code, signal, fault: null, breach: null }
  }

  const exited = untilEmpty()

  async function kill(): Promise<void> {
    if (led) killProcessGroup()
    await exited
  }

  return await openGate(
    {
      pid: child.pid,
      stdin: createStdinWriter(child.stdin),
      stdout: child.stdout,
      stderr: child.stderr,
      exited,
      limits: spec.limits,
      kill,
    },
    gate ?? null,
    spec.confirm?.(),
  )
}
