import { PassThrough } from 'node:stream'
import type { SandboxExit, SandboxProcess } from '../src/index.ts'

export type FakeProcess = {
  readonly process: SandboxProcess
  readonly stdout: PassThrough
  readonly stderr: PassThrough
  /** What was written to stdin, parsed. */
  readonly received: { readonly type: string; readonly [field: string]: unknown }[]
  readonly kills: () => number
  /** Ends both pipes and then the process, unless it was killed before. */
  exit(exit?: Partial<SandboxExit>): void
}

/** A sandbox without a program: the test is the agent. Dies at once when it is killed. */
export function fakeProcess(onStdin: 'reads' | 'ignores' = 'reads'): FakeProcess {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const received: FakeProcess['received'] = []
  let kills = 0
  let end: (exit: SandboxExit) => void = () => undefined
  const exited = new Promise<SandboxExit>((resolve) => {
    end = resolve
  })
  const finish = (exit: SandboxExit) => {
    if (!stdout.writableEnded) stdout.end()
    if (!stderr.writableEnded) stderr.end()
    end(exit)
  }
  return {
    stdout,
    stderr,
    received,
    kills: () => kills,
    exit: (exit = {}) => finish({ code: 0, signal: null, fault: null, breach: null, ...exit }),
    process: {
      pid: 0,
      stdout,
      stderr,
      exited,
      limits: {},
      stdin: {
        write: (text) => {
          received.push(JSON.parse(text))
          return onStdin === 'reads' ? Promise.resolve('written') : exited.then(() => 'closed' as const)
        },
        end: () => undefined,
      },
      kill: async () => {
        kills += 1
        finish({ code: null, signal: 'SIGKILL', fault: null, breach: null })
        await exited
      },
    },
  }
}
