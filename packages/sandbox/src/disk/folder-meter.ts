import { Worker } from 'node:worker_threads'
import type { FolderBounds, FolderSize, SandboxPids } from './measure-folder.ts'

export type MeterQuestion = {
  readonly number: number
  readonly folder: string
  readonly bounds: FolderBounds
  readonly processes: SandboxPids
}
export type MeterAnswer = { readonly number: number; readonly size: FolderSize }

type Pending = { readonly resolve: (size: FolderSize) => void; readonly reject: (error: Error) => void }

const pending = new Map<number, Pending>()
let thread: Worker | null = null
let last = 0

/** Measures a folder in a thread of its own, which all of this process share; rejects when that thread breaks. */
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
  worker.on('message', ({ number, size }: MeterAnswer) => {
    pending.get(number)?.resolve(size)
    pending.delete(number)
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
