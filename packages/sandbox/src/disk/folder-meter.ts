import { Worker } from 'node:worker_threads'
import type { FolderBounds, FolderSize } from './measure-folder.ts'
import type { SandboxPids } from './sandbox-pids.ts'
import type { Done } from './take-turns.ts'

export type Measure = {
  /** Null: only what the processes hold. */
  readonly folder: string | null
  readonly bounds: FolderBounds
  readonly processes: SandboxPids
}
export type MeterQuestion =
  | ({ readonly number: number } & Measure)
  /** Nobody waits any longer for the answer to that question. */
  | { readonly drop: number }
export type MeterAnswer = Done<FolderSize>

type Pending = { readonly resolve: (size: FolderSize) => void; readonly reject: (error: Error) => void }

const pending = new Map<number, Pending>()
let thread: Worker | null = null
let last = 0

/**
 * Measures a folder in a thread that all of this process share by turns; rejects when it cannot be measured, that thread breaks or the
 * signal comes.
 */
export function meterFolder(measure: Measure, signal: AbortSignal): Promise<FolderSize> {
  const worker = thread ?? startThread()
  last += 1
  const number = last
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Error('given up'))
    function giveUp(): void {
      pending.delete(number)
      worker.postMessage({ drop: number } satisfies MeterQuestion)
      reject(new Error('given up'))
    }
    signal.addEventListener('abort', giveUp, { once: true })
    const forget = () => signal.removeEventListener('abort', giveUp)
    pending.set(number, {
      resolve(size) {
        forget()
        resolve(size)
      },
      reject(error) {
        forget()
        reject(error)
      },
    })
    worker.postMessage({ number, ...measure } satisfies MeterQuestion)
  })
}

function startThread(): Worker {
  const worker = new Worker(new URL('./folder-meter-thread.ts', import.meta.url), { execArgv: [] })
  worker.on('message', (answer: MeterAnswer) => {
    const asked = pending.get(answer.number)
    pending.delete(answer.number)
    if ('size' in answer) asked?.resolve(answer.size)
    else asked?.reject(new Error(answer.failed))
  })
  const fail = (error: Error) => {
    if (thread === worker) thread = null
    for (const one of pending.values()) one.reject(error)
    pending.clear()
  }
  worker.on('error', fail)
  worker.on('exit', () => fail(new Error('the thread that measures folders ended')))
  // It keeps no process alive that has nothing else to do.
  worker.unref()
  thread = worker
  return worker
}
