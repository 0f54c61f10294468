import { Worker } from 'node:worker_threads'
import type { FolderBounds, FolderSize } from './measure-folder.ts'
import type { SandboxPids } from './sandbox-pids.ts'

export type MeterQuestion = {
  readonly number: number
  readonly folder: string
  readonly bounds: FolderBounds
  readonly processes: SandboxPids
}
/** `failed` says in words why there is no size. */
export type MeterAnswer =
  | { readonly number: number; readonly size: FolderSize }
  | { readonly number: number; readonly failed: string }

type Pending = { readonly resolve: (size: FolderSize) => void; readonly reject: (error: Error) => void }

const pending = new Map<number, Pending>()
let thread: Worker | null = null
let last = 0

/** Measures a folder in a thread of its own, which all of this process share; rejects when it cannot be measured or that thread breaks. */
export function meterFolder(folder: string, bounds: FolderBounds, processes: SandboxPids): Promise<FolderSize> {
  const worker = thread ?? startThread()
  last += 1
  const question: MeterQuestion = { number: last, folder, bounds, processes }
  return new Promise((resolve, reject) => {
    pending.set(question.number, { resolve, reject })
    worker.postMessage(question)
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
