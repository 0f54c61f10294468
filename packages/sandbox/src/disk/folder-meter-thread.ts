import { parentPort } from 'node:worker_threads'
import type { MeterAnswer, MeterQuestion } from './folder-meter.ts'
import { measureFolder } from './measure-folder.ts'

/** Measures folders apart from the main thread, one after another. */
parentPort?.on('message', ({ number, folder, bounds, processes }: MeterQuestion) => {
  const answer: MeterAnswer = { number, size: measureFolder(folder, bounds, processes) }
  parentPort?.postMessage(answer)
})
