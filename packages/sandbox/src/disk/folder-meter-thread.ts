import { parentPort } from 'node:worker_threads'
import type { MeterAnswer, MeterQuestion } from './folder-meter.ts'
import type { FolderSize } from './measure-folder.ts'
import { measureInSteps } from './measure-folder.ts'
import { createTurns } from './take-turns.ts'

/** Measures folders apart from the main thread, all of them by turns; one that cannot be measured fails alone. */
const turns = createTurns<FolderSize>((answer: MeterAnswer) => parentPort?.postMessage(answer))
let isAtWork = false

parentPort?.on('message', (question: MeterQuestion) => {
  if ('drop' in question) {
    turns.drop(question.drop)
    return
  }
  turns.begin(question.number, measureInSteps(question.folder, question.bounds, question.processes))
  if (isAtWork) return
  isAtWork = true
  work()
})

/** Between two turns it is heard what else is asked. */
function work(): void {
  if (turns.turn()) setImmediate(work)
  else isAtWork = false
}
