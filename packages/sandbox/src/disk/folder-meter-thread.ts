import { parentPort } from 'node:worker_threads'
import type { MeterAnswer, MeterQuestion } from './folder-meter.ts'
import { measureFolder } from './measure-folder.ts'

/** Measures folders apart from the main thread, one after another; one that cannot be measured fails alone. */
parentPort?.on('message', (question: MeterQuestion) => parentPort?.postMessage(answerTo(question)))

function answerTo({ number, folder, bounds, processes }: MeterQuestion): MeterAnswer {
  try {
    return { number, size: measureFolder(folder, bounds, processes) }
  } catch (error) {
    return { number, failed: error instanceof Error ? error.message : String(error) }
  }
}
