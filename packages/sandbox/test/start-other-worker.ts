import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SandboxSpec } from '../src/index.ts'

export type OtherWorker = {
  readonly pid: number
  readonly child: ChildProcess
  end(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Resolves once the other worker has started the sandbox. It inherits `descriptors` from 20 on. */
export async function startOtherWorker(
  runtime: string,
  cacheRoot: string,
  spec: SandboxSpec,
  descriptors: readonly number[] = [],
  uid = process.getuid?.() ?? 0,
  scriptName: 'other-worker.ts' | 'starting-worker.ts' = 'other-worker.ts',
): Promise<OtherWorker> {
  const script = fileURLToPath(new URL(scriptName, import.meta.url))
  const child = spawn(process.execPath, [script, runtime, cacheRoot], {
    uid,
    gid: uid,
    stdio: ['pipe', 'pipe', 'inherit', ...Array.from({ length: 17 }, () => 'ignore' as const), ...descriptors],
  })
  if (child.stdout === null || child.stdin === null) throw new Error('no pipe')
  child.stdin.end(JSON.stringify(spec))
  const [said] = await once(child.stdout, 'data')
  if (!String(said).startsWith('started\n') || child.pid === undefined) throw new Error(`the other worker said ${said}`)
  const ended = once(child, 'exit')
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  return { pid: child.pid, child, end, [Symbol.asyncDispose]: end }
}
